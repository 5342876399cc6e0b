"""Small CNNs for scikit-learn's handwritten digits: loss, FLOPs, parameters and latency.

    optnas run studies/digits_cnn.py

30 trials of 10 epochs; one to two minutes on a CPU core.
"""

import optnas

data = optnas.digits()

search = optnas.Search(
    space=optnas.MacroCNNSpace(data.input_shape, data.outputs, depth=(1, 4)),
    evaluator=optnas.TrainingEvaluator(
        data, epochs=10, recipe=optnas.Recipe(learning_rate=0.03, schedule="one_cycle")
    ),
    objectives=("val_loss", "flops", "params", "latency_ms"),
    reference={"val_loss": 0.35},  # an accuracy of about 0.9; what is worse gains nothing
    trials=30,
    seed=0,
)
