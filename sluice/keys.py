"""Where everything lies in the two buckets: said here once, for state machines, grants, handlers, CLI and benchmarks.

`uploads` holds what people bring, below `INCOMING_TRAINING` (the whole table), `INCOMING_EVENTS` (rows for it) or
`INCOMING_BATCH` (rows to be predicted).
`artifacts` holds what the pipeline makes of it, below one prefix for each kind of thing; a role is granted prefixes.
"""

from __future__ import annotations

INCOMING_TRAINING = "incoming/training/"
INCOMING_EVENTS = "incoming/events/"
INCOMING_BATCH = "incoming/batch/"
TRAINING_SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")

SAID = {"by": "sluice-by", "tracked_as": "sluice-tracked-as", "tracked_md5": "sluice-tracked-md5"}
"""What `sluice upload` says of an object, as URL-quoted metadata: fields of `payloads.documents.Uploaded`."""

DATASETS = "datasets"
"""Dataset versions: each is a manifest that is written last, and lists the parts that hold the rows."""
STORED = f"{DATASETS}/files/md5"
"""The bytes of parts, named by their content as DVC wants it: `datasets/` is a DVC remote (docs/decisions/0019)."""
QUARANTINE = "quarantine"
"""What validation rejected, by execution, with the values; the report quotes one a reason, and nothing else any."""
REPORTS = "reports"
"""What an execution tells: validation, evaluation, and the report for people."""
TRAINING_SETS = "training-sets"
"""What an execution trained and judged on, and the project's code it did so with."""
MODELS = "models"
"""What training jobs made, by job; SageMaker adds `<job>/output/model.tar.gz` to it."""

SEARCHES = "searches"
"""What the trials of a search leave behind, by job: nothing of worth, and it expires."""
CHECKPOINTS = "checkpoints"
"""How far training jobs came, by job, for one that is interrupted. Beside the model it is of no use: it expires."""

CAPTURES = "captures"
"""Requests to the endpoint and its answers, as they came, by endpoint, variant and hour. It expires."""

BATCH = "batch"
"""Predictions for files, by execution. They are people's own, and stay."""
BATCH_JOBS = "batch-jobs"
"""What a batch's transform job is sent and answers, by execution. Once joined it is of no use: it expires."""
DRIFT = "drift"
"""What captured traffic was found to be, by window, and what of it was looked at."""

FEATURES = "features"
"""What was last written to the online store, by view and share of its entities."""
FEAST = "feast"
"""What Feast's own tools open."""

TRACKING = "mlflow"
"""What runs keep: files of the pipeline and of the project's own calls, below the id of the run."""

OFFLINE = "offline"
"""What Athena reads and writes for an execution. Nothing needs it once there is a training set: it expires."""

PREFIXES = (
    DATASETS,
    QUARANTINE,
    REPORTS,
    TRAINING_SETS,
    MODELS,
    SEARCHES,
    CHECKPOINTS,
    CAPTURES,
    BATCH,
    BATCH_JOBS,
    DRIFT,
    FEATURES,
    FEAST,
    TRACKING,
    OFFLINE,
)


def part(md5: str) -> str:
    """The rows of a part, a Parquet file, by the MD5 (hex) of its bytes."""
    return f"{STORED}/{md5[:2]}/{md5[2:]}"


def folder_of_parts(md5: str) -> str:
    """The list of a version's parts by which DVC knows them as a folder; `md5` is the MD5 (hex) of the list."""
    return f"{part(md5)}.dir"


def lineage(name: str) -> str:
    """Where the part of this name came from, and what it holds; beside the manifest of the version of it alone."""
    return f"{DATASETS}/{name}/lineage.json"


def parts(version: str) -> str:
    """The parts of a version as SageMaker takes a list of objects (S3DataType ManifestFile)."""
    return f"{DATASETS}/{version}/parts.json"


def manifest(version: str) -> str:
    """The manifest is written last: a dataset version exists if and only if its manifest does."""
    return f"{DATASETS}/{version}/manifest.json"


def current() -> str:
    """Which dataset version is the table as it is now: written anew with each upload that is accepted."""
    return f"{DATASETS}/current.json"


def captures(endpoint: str) -> str:
    """The folder of what an endpoint's traffic was; SageMaker adds `<variant>/<year>/<month>/<day>/<hour>/`."""
    return f"{CAPTURES}/{endpoint}"


def drift_ledger() -> str:
    """Which capture objects were looked at, and by which window others are being: moved by a conditional put."""
    return f"{DRIFT}/ledger.json"


def drift_window(window: str) -> str:
    """What a window looks at: written before the ledger names it."""
    return f"{DRIFT}/windows/{window}/window.json"


def drift_counts(window: str, part: int | str) -> str:
    return f"{DRIFT}/windows/{window}/counts/{part}.json"


def drift_verdict(window: str) -> str:
    return f"{DRIFT}/windows/{window}/verdict.json"


def drift_page(window: str) -> str:
    return f"{DRIFT}/windows/{window}/report.html"


def materialized(view: str, number: int | str, count: int | str) -> str:
    """What the online store holds of a share of a view's entities, as far as it was written there."""
    return f"{FEATURES}/{view}/{number}-of-{count}.parquet"


def shares(materialized: str) -> int:
    """How many shares there were when the ledger of this key was written."""
    return int(materialized.removesuffix(".parquet").rsplit("-of-", 1)[1])


def predictions(execution: str, suffix: str) -> str:
    """The rows of a file with their predictions; `suffix` is .csv or .parquet, as the file was."""
    return f"{BATCH}/{execution}/predictions{suffix}"


def batch_rows(execution: str, part: int | str, suffix: str) -> str:
    """A part of the rows of a file as the model is sent them, from 0; names are in the order of the rows."""
    number = part if isinstance(part, str) else f"{part:05d}"
    return f"{BATCH_JOBS}/{execution}/rows/part-{number}{suffix}"


def batch_answers(execution: str, rows: str) -> str:
    """What the model answered to the part with the key `rows`; SageMaker adds `.out` to its name."""
    return f"{BATCH_JOBS}/{execution}/answers/{rows.rsplit('/', 1)[1]}.out"


def set_aside(execution: str) -> str:
    """The rows of a file that no model was asked about, by number, and why; a Parquet file."""
    return f"{BATCH_JOBS}/{execution}/set_aside.parquet"


def registry() -> str:
    """Feast's registry as it was last deployed; the bucket keeps the ones before."""
    return f"{FEAST}/registry.db"


def offline_rows(table: str, execution: str) -> str:
    """The folder of the rows that an execution's job made of a view, for Athena to read as a table's partition."""
    return f"{OFFLINE}/rows/{table}/{execution}"


def offline_staging(execution: str) -> str:
    """The folder in which Feast hands Athena the labels of an execution, and gets its answer."""
    return f"{OFFLINE}/staging/{execution}"


def offline_results() -> str:
    """The folder of what Athena says of each query, by its workgroup's settings."""
    return f"{OFFLINE}/results"


def rejected(execution: str) -> str:
    """The rejected cells, a CSV file."""
    return f"{QUARANTINE}/{execution}/rejected.csv"


def validation(execution: str) -> str:
    return f"{REPORTS}/{execution}/validation.json"


def evaluation(execution: str, judgement: int | str = 1) -> str:
    """What a judgement found; a later one is there where another model had become champion meanwhile."""
    again = "" if judgement == 1 else f"/judgement-{judgement}"
    return f"{REPORTS}/{execution}{again}/evaluation/evaluation.json"


def report(execution: str) -> str:
    return f"{REPORTS}/{execution}/report.json"


def page(execution: str) -> str:
    return f"{REPORTS}/{execution}/report.html"


def card(execution: str) -> str:
    """The model card of what the execution trained, Markdown."""
    return f"{REPORTS}/{execution}/card.md"


def told(execution: str) -> str:
    """What marks that people were told of an end that the state machine itself could not tell of."""
    return f"{REPORTS}/{execution}/told.json"


def training_set(execution: str) -> str:
    """The summary of a training set: what was made of which dataset."""
    return f"{TRAINING_SETS}/{execution}/summary/training_set.json"


def train(execution: str) -> str:
    return f"{TRAINING_SETS}/{execution}/train/train.parquet"


def held_out(execution: str) -> str:
    return f"{TRAINING_SETS}/{execution}/held_out/held_out.parquet"


def held_out_rows(execution: str) -> str:
    """The held-out rows as the container of a user's own image is asked about them."""
    return f"{TRAINING_SETS}/{execution}/held_out/held_out.csv"


def code(execution: str) -> str:
    """The project's code as it was when the execution began: a redeploy meanwhile changes nothing for it."""
    return f"{TRAINING_SETS}/{execution}/code/project.zip"


def model(job: str) -> str:
    """The archive of the model that the execution of the job name `job` trained."""
    return f"{MODELS}/{job}-train/output/model.tar.gz"


def trials(job: str) -> str:
    """The folder of what the trials write that the execution of the job name `job` searched with."""
    return f"{SEARCHES}/{job}"


def checkpoints(job: str) -> str:
    """The folder of how far the training of the execution of the job name `job` came."""
    return f"{CHECKPOINTS}/{job}"


def contract(model: str) -> str:
    """The contract beside the archive with the key `model`, for clients that have no use for it."""
    return f"{folder(model)}/contract.json"


def input_example(model: str) -> str:
    """A request to the model of the archive with the key `model`, beside it; not of an image of the user's own."""
    return f"{folder(model)}/input_example.json"


def golden(model: str) -> str:
    """Held-out rows with the answers of the archive's model to them, beside it; not of an image of the user's own."""
    return f"{folder(model)}/golden.json"


def reference(model: str) -> str:
    """What the traffic of the model of the archive with the key `model` is held against, beside it."""
    return f"{folder(model)}/reference.json"


def training_job(model: str) -> str:
    """The training job that made the archive with the key `model`."""
    return model.split("/")[1]


def model_name(model: str) -> str:
    """The name of the model whose archive has the key `model`."""
    return training_job(model).removesuffix("-train")


def reproduced(execution: str, number: int) -> str:
    """Stand for the execution in the keys of what is built again, the `number`-th time: beside what it built."""
    return f"{execution}/reproduced-{number}"


def folder(key: str) -> str:
    """The folder that holds `key`, without a slash at its end."""
    return key.rsplit("/", 1)[0]


def places(execution: str, job: str) -> dict[str, str]:
    """The keys and folders that a state machine names, as `$places` in statemachines/training.asl.yaml.

    A name with `_file` at its end is a key, any other one a folder. `again` is for what is judged once more; its
    `{judgement}` is filled in then.
    """
    return {
        "code_file": code(execution),
        "train": folder(train(execution)),
        "held_out": folder(held_out(execution)),
        "held_out_rows_file": held_out_rows(execution),
        "summary": folder(training_set(execution)),
        "models": MODELS,
        "trials": trials(job),
        "checkpoints": checkpoints(job),
        "model": folder(model(job)),
        "evaluation": folder(evaluation(execution)),
        "evaluation_file": evaluation(execution),
        "again": folder(evaluation(execution, "{judgement}")),
        "again_file": evaluation(execution, "{judgement}"),
        "predictions": f"{REPORTS}/{execution}/predictions",
    }
