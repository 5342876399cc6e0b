"""Multi-layer perceptrons for scikit-learn's diabetes data (regression), with their training.

    optnas run studies/diabetes_mlp.py

Learning rate and batch size are searched in the same trial as the architecture. A val_loss of 1
is what predicting the mean gives.
"""

from optuna.distributions import FloatDistribution

import optnas

data = optnas.diabetes()

search = optnas.Search(
    space=optnas.MLPSpace.for_data(data),
    evaluator=optnas.TrainingEvaluator(
        data,
        epochs=30,
        recipe=optnas.RecipeSpace(
            learning_rate=FloatDistribution(1e-4, 1e-1, log=True), batch_size=(16, 32, 64)
        ),
    ),
    objectives=("val_loss", "params", "latency_ms"),
    trials=40,
    seed=0,
)
