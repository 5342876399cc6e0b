"""A language model of characters, for a text that ships with Python: loss against size.

    optnas run studies/gpt_char.py

Small decoders learn the reference of the Python language (pydoc_data, which `help("for")` shows),
one character after the other. GPT_CHAR_TOKENS is the number of characters; by default 144,000, of
which 120,000 are trained on once. Some minutes on one CPU core. The text is another one in another
version of Python, and so is the study's fingerprint.
"""

import os
from pydoc_data import topics

import optnas

whole = "\n\n".join(topics.topics[name] for name in sorted(topics.topics))
data = optnas.text(
    whole[: int(os.environ.get("GPT_CHAR_TOKENS", "144000"))],
    length=64,
    val=1 / 12,
    test=1 / 12,
    name="Python's reference",
)

search = optnas.Search(
    space=optnas.GPTSpace(
        vocabulary=data.outputs,
        length=data.input_shape[0],
        embeddings=(64, 96, 128, 192, 256),
        depth=(1, 4),
        heads=(2, 4),
        mlp_ratios=(2, 3, 4),
        kv_heads=(0, 1),
        norms=("layer_norm", "rms_norm"),
        positions=("rotary",),  # learned ones need more text
        head_width=32,
    ),
    evaluator=optnas.TrainingEvaluator(
        data,
        epochs=1,
        recipe=optnas.Recipe(
            learning_rate=0.003, batch_size=8, warmup=0.1, max_grad_norm=1.0, weight_decay=0.1
        ),
    ),
    objectives=("val_loss", "params"),
    constraints={"params": 3e6},
    trials=26,
    seed=0,
)
