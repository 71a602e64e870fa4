"""``npssl evaluate``: what a fine-tuned model is worth on labelled text."""

from __future__ import annotations

from npssl.cli import command, say, writable


def add(commands):
    """Describe ``npssl evaluate``."""
    sub = command(
        commands,
        "evaluate",
        run,
        help="score a fine-tuned model",
        example="npssl evaluate --model sst2-minilm; npssl evaluate --model mine --file my.tsv",
    )
    sub.add_argument("--model", required=True, metavar="FOLDER", help="from npssl finetune")
    sub.add_argument("--file", metavar="FILE", help="own labelled text: .tsv, .conll or .json")
    sub.add_argument("--data", metavar="FOLDER", help="of data sets, instead of NPSSL_DATA")
    sub.add_argument("--task", help="a public set (default: the one that it was trained on)")
    sub.add_argument("--out", metavar="FILE", help="write the predictions, one JSON value a line")


def run(args) -> dict:
    """Print the scores of each part, training left out."""
    import json

    from npssl.cli.finetune import told
    from npssl.data.labelled import Sentences, load, read
    from npssl.files import whole_file
    from npssl.jobs.finetune import FineTuned

    writable("--out", args.out)
    model = FineTuned.load(args.model)
    if args.file and args.task:
        raise ValueError("--file: expected a file or --task, found both")
    if args.file:
        classes = model.taught.get("classes")
        data = {"file": read(args.file, classes=tuple(classes) if classes else None)}
    else:
        task = args.task or model.taught["task"]
        if task == "own":
            raise ValueError("--file: this model was trained on own files, so expected one")
        data = {part: d for part, d in load(task, args.data).items() if part != "train"}
    found = {part: model.predict(d) for part, d in data.items()}
    scores = {part: model.evaluate(d, found=found[part]) for part, d in data.items()}
    if args.out:
        with whole_file(args.out) as file:
            for part, d in data.items():
                for value in found[part]:
                    if isinstance(d, Sentences) and d.classes is not None:
                        value = d.classes[value]
                    file.write(json.dumps(value, ensure_ascii=False).encode() + b"\n")
    for part, row in scores.items():
        say(args, f"{part}: {told(row)}; {len(data[part]):,} examples")
    return {"model": args.model, "scores": scores, "out": args.out}
