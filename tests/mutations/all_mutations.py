"""Every mutation, room by room."""

from mutations_of_checkpoints import CHECKPOINTS
from mutations_of_data import DATA
from mutations_of_folders import FOLDERS
from mutations_of_judging import JUDGING
from mutations_of_models import MODELS
from mutations_of_pictures import PICTURES
from mutations_of_runs import RUNS
from mutations_of_scores import SCORES
from mutations_of_shards import SHARDS

MUTATIONS = [*MODELS, *CHECKPOINTS, *DATA, *PICTURES, *SCORES, *RUNS, *FOLDERS, *SHARDS, *JUDGING]
