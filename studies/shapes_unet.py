"""Small U-Nets that find faint shapes in noise: mean IoU, FLOPs, parameters and latency.

    optnas run studies/shapes_unet.py

The images are drawn here, the same each time: 32×32 pixels of noise with circles, squares and
triangles, which overlap. Each pixel has a class: background, or the shape that lies on top.
"""

import numpy as np

import optnas

SIDE = 32
CIRCLE, SQUARE, TRIANGLE = 1, 2, 3


def draw(rng, count):
    """One image `(1, side, side)` with a number of shapes, and the class of each pixel."""
    image = rng.normal(0, 0.2, (1, SIDE, SIDE))
    classes = np.zeros((SIDE, SIDE), dtype=np.int64)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for shape in rng.integers(CIRCLE, TRIANGLE + 1, count):
        size = rng.uniform(5, 9)
        down, right = rows - rng.uniform(4, SIDE - 4), columns - rng.uniform(4, SIDE - 4)
        if shape == CIRCLE:
            inside = down**2 + right**2 <= size**2
        elif shape == SQUARE:
            inside = np.maximum(abs(down), abs(right)) <= 0.9 * size
        else:
            inside = (abs(right) <= (down + size) / 2) & (down <= size)
        image[0, inside] = rng.normal(rng.uniform(0.6, 1.2), 0.2, inside.sum())
        classes[inside] = shape
    return image, classes


rng = np.random.default_rng(0)
images, masks = zip(*(draw(rng, count) for count in rng.integers(1, 4, 1000)), strict=True)
data = optnas.arrays(np.stack(images), np.stack(masks), name="shapes")

search = optnas.Search(
    space=optnas.UNetSpace.small(data.input_shape, data.outputs),
    evaluator=optnas.TrainingEvaluator(
        data,
        epochs=15,
        # Small batches, a warm-up and clipped gradients: without them, some seeds learn little.
        recipe=optnas.Recipe(
            learning_rate=0.01, batch_size=16, warmup=0.1, max_grad_norm=1.0, flip=True
        ),
    ),
    objectives=("val_mean_iou", "flops", "params", "latency_ms"),
    constraints={"flops": 40e6},
    reference={"val_mean_iou": 0.5},  # what is worse gains nothing
    trials=20,
    seed=0,
)
