__version__: str

from . import (
    datasets as datasets,
    evaluators as evaluators,
    metrics as metrics,
    plots as plots,
    samplers as samplers,
    search_spaces as search_spaces,
)
from .best import best_model as best_model
from .comparison import compare as compare
from .confirming import confirm as confirm
from .datasets import (
    Dataset as Dataset,
    Loaders as Loaders,
    arrays as arrays,
    diabetes as diabetes,
    digits as digits,
)
from .errors import (
    CandidateError as CandidateError,
    InputError as InputError,
)
from .evaluators import (
    Evaluator as Evaluator,
    FunctionEvaluator as FunctionEvaluator,
    Recipe as Recipe,
    RecipeSpace as RecipeSpace,
    Report as Report,
    SharedWeightsEvaluator as SharedWeightsEvaluator,
    TabularEvaluator as TabularEvaluator,
    TrainingEvaluator as TrainingEvaluator,
    nasbench201 as nasbench201,
)
from .export import export_model as export_model
from .idx import idx_images as idx_images
from .metrics import (
    Flops as Flops,
    FunctionMetric as FunctionMetric,
    Latency as Latency,
    Macs as Macs,
    Metric as Metric,
    Params as Params,
    ZeroCost as ZeroCost,
)
from .objective import Objective as Objective
from .pareto import (
    front as front,
    hypervolume as hypervolume,
)
from .picking import pick as pick
from .retraining import retrain as retrain
from .samplers import (
    HistorySampler as HistorySampler,
    LocalSearchSampler as LocalSearchSampler,
    PredictorSampler as PredictorSampler,
    RegularizedEvolutionSampler as RegularizedEvolutionSampler,
    ReinforceSampler as ReinforceSampler,
)
from .search import Search as Search
from .search_spaces import (
    FunctionSpace as FunctionSpace,
    MacroCNNSpace as MacroCNNSpace,
    MLPSpace as MLPSpace,
    ModelSpace as ModelSpace,
    NASBench201Space as NASBench201Space,
    SearchSpace as SearchSpace,
)
from .study_file import load_search as load_search
