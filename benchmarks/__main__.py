"""Comparisons with what a user would use instead, and proofs too long for a test.

    python -m benchmarks                        # all: about four hours, on an idle machine
    python -m benchmarks loop_cost              # one or several

Each prints a table and writes benchmarks/results/<name>.json; benchmarks/README.md shows them.
Exits 1 if one of them misses its target.
"""

import importlib
import sys

INTRO = """
# Benchmarks

Comparisons with what one would use instead, run in turns on one machine, and proofs too long for a test. `make bench`
makes them all again (about four hours on two idle cores) and writes this page; `python -m benchmarks <name>` makes one.
Do not compare figures of different machines.
"""
WHAT = {
    "loop_cost": "what fit() adds to a step, beside a hand-written loop, Lightning, Fabric and accelerate",
    "input_pipeline": "augmented images a second on one core, beside torchvision transforms in a DataLoader",
    "kill_resume": "kill -9 at random instants, of the stage and of DVC: the same bytes in the end",
    "gpu_training": "seconds that cifar_cnn's preset official trains on a warm GPU, and its accuracy",
    "detection_training": "images a second that voc_detection trains FCOS on, on a GPU, beside torchvision's loop",
    "detection_scores": "AP of 5,000 images with 100 detections each by voc_detection, beside pycocotools",
    "leakage": "share of planted copies that the data check finds, by kind, and its false alarms, beside libraries",
    "bucketing": "tokens a second in training: batches by length, beside random order with padding",
    "decoding": "sentences a second that multi30k_translation translates, beside generate() and CTranslate2",
    "translation_training": "target tokens a second in training multi30k_translation, beside a plain loop with padding",
    "pretrained": "MiniLM fine-tuned on SST-2 by imdb_sentiment, beside transformers' Trainer",
    "dcgan": "Fashion-MNIST by fashion_gan's preset official-cpu, beside PyTorch's own DCGAN example in the same time",
    "gan_loop": "images a second that fashion_gan trains on, beside the same training in plain PyTorch",
    "elastic": "kill -9 of a worker under torchrun: it restarts, resumes and ends with the same bytes",
    "spoken_digits": "accuracy of speech_commands on each speaker held out, beside PocketSphinx",
    "digit_strings": "word error rate of speech_ctc on strings of digits, beside PocketSphinx with a loop of digits",
    "sound": "spectrograms in batches beside clip by clip, and how much faster than real time streams are heard",
    "recommender": "seconds and memory of movielens_recommender at the sizes of MovieLens 1M and 25M",
    "recommender_peers": "ALS of movielens_recommender beside the package implicit, and exact lists beside faiss",
}


def main(words: list[str]) -> int:
    """Runs the benchmarks named, or all. Returns the exit status: 1 if one did not hold, 2 on an unknown name."""
    if {"-h", "--help"} & set(words):
        print(__doc__.strip() + "\n\n" + "\n".join(f"  {name:<16}{what}" for name, what in WHAT.items()))
        return 0
    if unknown := [word for word in words if word not in WHAT]:
        print(f"error: {unknown[0]}: no such benchmark\n  expected: one of {', '.join(WHAT)}", file=sys.stderr)
        return 2
    held = True
    for name in words or WHAT:
        print(f"\n## {name}: {WHAT[name]}\n", flush=True)
        # imported here: the help needs none of their libraries
        held &= importlib.import_module(f"benchmarks.{name}").main()
    importlib.import_module("benchmarks.table").write_readme(WHAT, INTRO)
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
