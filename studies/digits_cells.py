"""Networks of cells for handwritten digits: what a cell computes, and how many there are.

    optnas run studies/digits_cells.py

24 trials of 10 epochs; about three minutes of a CPU core.
"""

import optnas

data = optnas.digits()

search = optnas.Search(
    space=optnas.CellSpace.small(data.input_shape, data.outputs, stages=(1, 2)),
    evaluator=optnas.TrainingEvaluator(
        data, epochs=10, recipe=optnas.Recipe(learning_rate=0.01, batch_size=32)
    ),
    objectives=("val_loss", "flops", "params"),
    reference={"val_loss": 0.35},  # an accuracy of about 0.9; what is worse gains nothing
    trials=24,
    seed=0,
)
