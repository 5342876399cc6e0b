"""Small vision transformers for handwritten digits: loss, FLOPs and parameters.

    optnas run studies/digits_vit.py

Images of 8×8 pixels are cut into 16 patches of 2×2. 1,079 images are few for transformers: networks
of cells (digits_cells) get a lower loss. 24 trials; three to four minutes of a CPU core.
"""

import optnas

data = optnas.digits()

search = optnas.Search(
    space=optnas.ViTSpace.small(data.input_shape, data.outputs, patch_sizes=(2,)),
    evaluator=optnas.TrainingEvaluator(
        data,
        epochs=20,
        recipe=optnas.Recipe(learning_rate=0.003, batch_size=32, warmup=0.1, max_grad_norm=1.0),
    ),
    objectives=("val_loss", "flops", "params"),
    reference={"val_loss": 0.8},  # what is worse gains nothing
    trials=24,
    seed=0,
)
