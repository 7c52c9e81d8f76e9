# One verb per target. Settings: on the command line (make metrics WORKSPACE="my runs") or in .env, as NAME=value
# without quotes. Recipes read them from the environment, so that values may hold blanks and quotes. SET=field makes
# every stage from benchmark-configs on work in BENCHMARK/sets/field.
-include .env

# What .env calls the benchmark's corpus is not the truth of other recordings.
ifneq ($(strip $(PREDICT_IN)$(SET)),)
ifeq ($(origin BENCHMARK_CORPUS),file)
BENCHMARK_CORPUS :=
endif
endif
ifneq ($(SET),$(subst /,,$(firstword $(filter-out .%,$(SET)))))
$(error SET=$(SET): a set's name holds letters, digits, _, - and dots only)
endif

# An empty one is this folder too, never the root of the machine.
ifeq ($(strip $(WORKSPACE)),)
override WORKSPACE := .
endif
PLACES := WORKSPACE CORPUS BENCHMARK_CORPUS PREDICT_IN DATA_ROOT AUDIO_ROOT RF_MODEL TRAIN_VARIANTS BENCHMARK_VARIANTS
$(foreach name,$(PLACES),$(if $(filter ~%,$(firstword $($(name)))),$(error $(name)=$($(name)): nothing expands ~ here. Write the path in full)))
$(foreach name,$(PLACES),$(if $(filter x,$(lastword $($(name))x)),$(if $($(name)),$(error $(name) ends with a blank. In .env remarks have lines of their own))))
EXECUTOR ?= local
WORKERS ?= 1
LAYER ?= both
export

BIN := .venv/bin
SLURM := $(BIN)/hum-slurm
OF_SET = $${SET:+--set "$$SET"}
TREE = "$$WORKSPACE/BENCHMARK$${SET:+/sets/$$SET}"
RUN = $(SLURM) run $(1) --workspace "$$WORKSPACE" --executor "$$EXECUTOR" --workers "$$WORKERS"
PACKAGES := shared/src services/trainer/src services/predictor/src services/evaluator/src services/rf_filter/src slurm/src

ONE_SIF := $(addprefix build-sif-,trainer predictor evaluator rf_filter)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format bench lock data-index data-prepare data-count training-configs train \
	tune rf-train report quality training-submit status watch upload test-hpc benchmark-configs gpu-predict eval-batches eval-run rf-batches \
	rf-filter cutouts metrics clean-benchmark training-clean-configs training-clean-jobs training-clean-runs build-sif test-sif sign-sif $(ONE_SIF)

help: ## list the targets
	@echo "Of a workspace: WORKSPACE=demo (default: here), SET=field, EXECUTOR=slurm, WORKERS=2; the rest stands behind each."
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "%-24s %s\n", $$1, $$2}'

setup: ## create .venv with everything in it (PYTHON=, TORCH_INDEX= for CUDA builds)
	@requirements/setup.sh

lock: setup ## renew the hashed locks in requirements/ (LOCK_OPTIONS=--upgrade for newer versions)
	requirements/lock.sh $(LOCK_OPTIONS)

test: setup ## all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto

test-hpc: setup ## all tests on a private Slurm cluster (as root; HUM_HPC_REQUIRED=1: fail where one cannot run)
	tests/hpc/machine/test --durations=0

lint: setup ## format, lint, types, import rules
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/lint-imports --no-cache

format: setup ## format the code and fix what can be fixed
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

quality: setup ## what every part of the detector is worth, over seeds (QUALITY=options of benchmarks/quality.py)
	$(BIN)/python benchmarks/quality.py $(QUALITY)

bench: setup ## time every stage against plain loops (BENCH=parts of it, such as prediction)
	$(BIN)/python -m benchmarks $(BENCH)

demo: setup ## the whole pipeline on a made-up corpus (or CORPUS=, BENCHMARK_CORPUS=, DEMO_CFG=; DEMO_OUT=)
	$(BIN)/python benchmarks/demo.py $${CORPUS:+--corpus "$$CORPUS"} $${DEMO_OUT:+--out "$$DEMO_OUT"} \
		$${BENCHMARK_CORPUS:+--benchmark-corpus "$$BENCHMARK_CORPUS"} $${DEMO_CFG:+--cfg "$$DEMO_CFG"}

data-index: setup ## index a corpus (CORPUS=)
	$(BIN)/hum-trainer index-corpus "$${CORPUS:?name a corpus: make $@ CORPUS=...}"

data-prepare: setup ## write a corpus's training datasets (CORPUS=, DATA_CONFIG=)
	$(BIN)/hum-trainer prepare "$${CORPUS:?name a corpus: make $@ CORPUS=...}" $${DATA_CONFIG:+--config "$$DATA_CONFIG"}

data-count: setup ## count a corpus's hums and datasets (CORPUS=)
	$(BIN)/hum-trainer count "$${CORPUS:?name a corpus: make $@ CORPUS=...}"

training-configs: setup ## write the training cfgs and tasks (DATA_ROOT=, TRAIN_VARIANTS=, SITE=)
	$(SLURM) training --workspace "$$WORKSPACE" $${DATA_ROOT:+--data-root "$$DATA_ROOT"} \
		$${TRAIN_VARIANTS:+--variants-json "$$TRAIN_VARIANTS"} $${SITE:+--site "$$SITE"}

train: setup ## train the networks (WORKERS=)
	$(call RUN,train)

benchmark-configs: setup ## write prediction and evaluation cfgs and tasks (BENCHMARK_CORPUS=, PREDICT_IN=, RECURSIVE=1, MODEL=, VARIANT=, SHARDS=, MAX_CONC=)
	$(SLURM) benchmark --workspace "$$WORKSPACE" $(OF_SET) $${BENCHMARK_CORPUS:+--corpus-root "$$BENCHMARK_CORPUS"} \
		$${MODEL:+--model "$$MODEL"} $${VARIANT:+--variant "$$VARIANT"} \
		$${BENCHMARK_VARIANTS:+--variants-json "$$BENCHMARK_VARIANTS"} $${PREDICT_IN:+--predict-in "$$PREDICT_IN"} \
		$${RECURSIVE:+--recursive} $${SHARDS:+--shards "$$SHARDS"} $${MAX_CONC:+--max-concurrent "$$MAX_CONC"} $${SITE:+--site "$$SITE"}

gpu-predict: setup ## score the recordings (WORKERS=)
	$(call RUN,predict) $(OF_SET)

eval-batches: setup ## write the evaluation tasks (MAX_CONC=)
	$(SLURM) evaluation --workspace "$$WORKSPACE" $(OF_SET) $${MAX_CONC:+--max-concurrent "$$MAX_CONC"} $${SITE:+--site "$$SITE"}

eval-run: setup ## turn scores into selections (WORKERS=)
	$(call RUN,evaluate) $(OF_SET)

rf-batches: setup ## write the filter's cfgs and tasks (AUDIO_ROOT=, RF_MODEL=)
	$(SLURM) rf --workspace "$$WORKSPACE" $(OF_SET) $${AUDIO_ROOT:+--audio-root "$$AUDIO_ROOT"} \
		$${RF_MODEL:+--rf-model "$$RF_MODEL"} $${SITE:+--site "$$SITE"}

rf-filter: setup ## filter the selections with a forest (WORKERS=)
	$(call RUN,rf) $(OF_SET)

cutouts: setup ## cut out the selections as sound files (WORKERS=)
	$(SLURM) cutouts --workspace "$$WORKSPACE" $(OF_SET) $${SITE:+--site "$$SITE"}
	$(call RUN,cutouts) $(OF_SET)

training-submit: setup ## hand the trainings to Slurm
	$(SLURM) submit train --workspace "$$WORKSPACE"

status: setup ## show how every task stands
	$(SLURM) status --workspace "$$WORKSPACE"

watch: setup ## show that again and again (Ctrl-C ends it)
	while $(SLURM) status --workspace "$$WORKSPACE"; do sleep 30; clear; done

upload: ## copy SRC= to the cluster (rsync over ssh, resumable; DRY_RUN=1; settings in .env.upload)
	@slurm/upload.sh "$${SRC:?name what to upload: make $@ SRC=...}" $${DRY_RUN:+dry-run}

metrics: setup ## compare every model, variant and layer with the ground truth (BENCHMARK_CORPUS=, LAYER=)
	$(BIN)/hum-evaluator compare --runs $(TREE)/runs --layer "$$LAYER" \
		--gt "$${BENCHMARK_CORPUS:?name a corpus: make $@ BENCHMARK_CORPUS=...}/corpus_index.json" \
		--out $(TREE)/metrics.csv --per-tape-out $(TREE)/metrics_per_tape.csv

build-sif: setup ## build the container images into images/, or one: build-sif-<service> (BASE=, TORCH_INDEX=, IMAGES=)
	containers/build

$(ONE_SIF): build-sif-%: setup
	containers/build $*

test-sif: ## run the test that each image brings, as a job runs it (IMAGES=)
	containers/test

sign-sif: ## sign the images with your Apptainer key (IMAGES=)
	containers/sign

report: setup ## one HTML file to look at and listen to (BENCHMARK_CORPUS= for the truth)
	$(BIN)/hum-evaluator report --runs $(TREE)/runs --out $(TREE)/report.html \
		$${BENCHMARK_CORPUS:+--gt "$$BENCHMARK_CORPUS/corpus_index.json"}

tune: setup ## tune the decoders on what networks say of tapes they have not seen (WORKERS=)
	$(call RUN,tune) $(OF_SET)

rf-train: setup ## train the forest on the candidates of a set (SET=rf_training)
	$(call RUN,rf-train) $(OF_SET)

clean-benchmark: ## delete the benchmark's cfgs, jobs, runs and scores
	for part in cfg jobs runs scores; do rm -rf $(TREE)/"$$part"; done
	if CDPATH= cd -- "$$WORKSPACE/progress" 2>/dev/null; then \
		if [ -n "$$SET" ]; then find . -name "set-$${SET}__*" -delete; \
		else find . -type f ! -path './train/*' ! -name 'set-*__*' -delete; fi; fi

training-clean-configs: ## delete the training cfgs
	rm -rf "$$WORKSPACE/TRAINING/cfg"

training-clean-jobs: ## delete the training batch files, tasks and logs
	rm -rf "$$WORKSPACE/TRAINING/jobs" "$$WORKSPACE/progress/train"

training-clean-runs: ## delete the trained models and checkpoints
	rm -rf "$$WORKSPACE/TRAINING/runs"
