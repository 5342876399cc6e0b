"""Small CNNs for scikit-learn's handwritten digits: loss, FLOPs, parameters and latency.

    optnas run studies/digits_cnn.py
"""

import optnas

data = optnas.digits()

search = optnas.Search(
    space=optnas.MacroCNNSpace(data.input_shape, data.outputs),
    evaluator=optnas.TrainingEvaluator(data, epochs=15),
    objectives=("val_loss", "flops", "params", "latency_ms"),
    trials=40,
    seed=0,
)
