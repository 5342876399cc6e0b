"""A scripted model in place of a language model: it varies one of the best networks that it sees.

It knows nothing of networks. So it shows what the sampler around it does, not what a language model
knows.
"""

import json
from random import Random

from optnas.samplers import LanguageModelSampler
from optnas.samplers.language_model import Reply

LOOKED_AT = 3
"""The number of the best networks, one of which is varied."""


def scripted_sampler(seed):
    """The sampler with such a model."""
    rng = Random(seed)

    def answer(messages):
        document = json.loads(messages[-1]["content"])
        if "space" not in document or not document["best"]:
            return Reply("Vary the best.", tokens=0)
        params = dict(rng.choice(document["best"][:LOOKED_AT])["params"])
        described = {one["name"]: one for one in document["space"]}
        name = rng.choice([n for n in params if n in described])
        params[name] = rng.choice(values(described[name]))
        return Reply(json.dumps(params), tokens=0)

    return LanguageModelSampler("scripted", client=answer, seed=seed)


def values(parameter):
    """The values of a parameter as the document describes it; of a range, 100 at most."""
    if "choices" in parameter:
        return parameter["choices"]
    low, high = parameter["low"], parameter["high"]
    whole = parameter["type"] == "int"
    step = parameter.get("step", 1 if whole else (high - low) / 99)
    count = 1 + round((high - low) / step)
    return [low + i * step for i in range(count)]
