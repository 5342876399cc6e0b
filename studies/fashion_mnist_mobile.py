"""Small mobile networks for Fashion-MNIST, compared with MobileNetV2 and a narrow ResNet-8.

    optnas run studies/fashion_mnist_mobile.py

Data as in `fashion_mnist_cnn`: FASHION_MNIST names the folder, FASHION_MNIST_TRAIN the number of
training images.
"""

import os

import optnas

data = optnas.idx_images(
    os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"),
    train=int(os.environ.get("FASHION_MNIST_TRAIN", "12000")),
    val=5_000,
)
space = optnas.MobileSpace.small(data.input_shape, data.outputs, stages=3)
resnets = optnas.ResNetSpace.small(data.input_shape, data.outputs)
mobilenet_v2 = optnas.MobileSpace.mobilenet_v2(
    data.input_shape, width=0.25, strides=(2, 1, 2, 2, 2, 1, 1, 1)
)
resnet8 = optnas.ResNetSpace.resnet_cifar(data.input_shape, blocks=1, width=8)

search = optnas.Search(
    space=space,
    evaluator=optnas.TrainingEvaluator(data, epochs=5, recipe=optnas.Recipe(learning_rate=0.01)),
    objectives=("val_loss", "flops", "params", "latency_ms"),
    constraints={"flops": 10e6},
    baselines={
        "MobileNetV2 0.25": lambda: space.build(mobilenet_v2),
        "ResNet-8, narrow": lambda: resnets.build(resnet8),
    },
    trials=16,
    seed=0,
)
