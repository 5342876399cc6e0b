__version__: str

from . import (
    callbacks as callbacks,
    datasets as datasets,
    evaluators as evaluators,
    metrics as metrics,
    plots as plots,
    samplers as samplers,
    search_spaces as search_spaces,
)
from .clusters import RayCluster as RayCluster, SlurmCluster as SlurmCluster
from .datasets import (
    Dataset as Dataset,
    Loaders as Loaders,
    arrays as arrays,
    cifar as cifar,
    diabetes as diabetes,
    digits as digits,
    frame as frame,
    idx_images as idx_images,
    image_folder as image_folder,
    text as text,
    tokens as tokens,
)
from .errors import CandidateError as CandidateError, InputError as InputError
from .evaluators import (
    CommandEvaluator as CommandEvaluator,
    Distillation as Distillation,
    Evaluator as Evaluator,
    FunctionEvaluator as FunctionEvaluator,
    Quantized as Quantized,
    Recipe as Recipe,
    RecipeSpace as RecipeSpace,
    Report as Report,
    SharedWeightsEvaluator as SharedWeightsEvaluator,
    TabularEvaluator as TabularEvaluator,
    TrainingEvaluator as TrainingEvaluator,
    nasbench201 as nasbench201,
)
from .export import export_model as export_model
from .finished.best_model import best_model as best_model
from .finished.confirm import confirm as confirm
from .finished.elsewhere import measure_elsewhere as measure_elsewhere
from .finished.retrain import retrain as retrain
from .metrics import (
    Energy as Energy,
    Flops as Flops,
    FunctionMetric as FunctionMetric,
    Latency as Latency,
    Macs as Macs,
    Metric as Metric,
    Params as Params,
    ZeroCost as ZeroCost,
)
from .objective.measure import (
    measure as measure,
    measure_and_constrain as measure_and_constrain,
)
from .objective.objective import Objective as Objective
from .objective.optimistic_pruner import OptimisticPruner as OptimisticPruner
from .objective.target import Target as Target
from .pareto.compare import compare as compare
from .pareto.front import front as front
from .pareto.pick import pick as pick
from .pareto.rows import to_frame as to_frame
from .pareto.study_hypervolume import hypervolume as hypervolume
from .samplers import (
    GradientSampler as GradientSampler,
    HistorySampler as HistorySampler,
    LanguageModelSampler as LanguageModelSampler,
    LocalSearchSampler as LocalSearchSampler,
    PredictorSampler as PredictorSampler,
    QLearningSampler as QLearningSampler,
    RegularizedEvolutionSampler as RegularizedEvolutionSampler,
    ReinforceSampler as ReinforceSampler,
    Stage as Stage,
    StagedSampler as StagedSampler,
)
from .search.fits import fits as fits
from .search.search import Search as Search
from .search.study_file import load_search as load_search
from .search_spaces import (
    CellSpace as CellSpace,
    FunctionSpace as FunctionSpace,
    GPTSpace as GPTSpace,
    LoRASpace as LoRASpace,
    MacroCNNSpace as MacroCNNSpace,
    MLPSpace as MLPSpace,
    MobileSpace as MobileSpace,
    ModelSpace as ModelSpace,
    NASBench201Space as NASBench201Space,
    ParameterSpace as ParameterSpace,
    ResNetSpace as ResNetSpace,
    SearchSpace as SearchSpace,
    SequenceSpace as SequenceSpace,
    SlimSpace as SlimSpace,
    TabularSpace as TabularSpace,
    UNetSpace as UNetSpace,
    ViTSpace as ViTSpace,
    choose as choose,
)
