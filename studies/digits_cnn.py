"""Small CNNs for scikit-learn's handwritten digits: loss, FLOPs, parameters and latency.

    optnas run studies/digits_cnn.py

40 trials of 15 epochs; one to two minutes on a CPU core.
"""

import optnas

data = optnas.digits()

search = optnas.Search(
    space=optnas.MacroCNNSpace(data.input_shape, data.outputs),
    evaluator=optnas.TrainingEvaluator(
        data, epochs=15, recipe=optnas.Recipe(learning_rate=0.01, batch_size=32)
    ),
    objectives=("val_loss", "flops", "params", "latency_ms"),
    reference={"val_loss": 0.35},  # an accuracy of about 0.9; what is worse gains nothing
    trials=40,
    seed=0,
)
