"""Many runs side by side, and their sum."""

import json
import multiprocessing
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed

from runs import Outcome, perform

FAULTS = ("lost", "duplicated", "not_recovered", "altered", "disordered")
_COUNTED = (
    *FAULTS,
    "broken",
    "undelivered",
    "slow_ends",
    "excused",
    "batches",
    "repeats",
    "lives",
    "tracebacks",
)


class Campaign:
    """Carries out orders; `jobs` at a time, as runs wait more than they compute."""

    def __init__(self, orders, jobs):
        self.outcomes = []
        self._orders = orders
        self._jobs = jobs
        self._began_s = time.monotonic()

    def run(self):
        """Do it all; an outcome is told as soon as it is there."""
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self._jobs, context) as pool:
            waiting = {pool.submit(perform, order): order for order in self._orders}
            for done in as_completed(waiting):
                outcome = Outcome(**done.result())
                self.outcomes.append(outcome)
                self._tell(outcome, waiting[done])
        if sys.stderr.isatty():
            sys.stderr.write("\n")

    def _tell(self, outcome, order):
        if not outcome.faultless or outcome.tracebacks or outcome.slow_ends:
            again = f"--seed {order.seed} --only {outcome.number}"
            again += f" --harm {order.harm}" if order.harm else ""
            again += f" --wrong {order.wrong}" if order.wrong else ""
            faults = {name: getattr(outcome, name) for name in FAULTS if getattr(outcome, name)}
            lines = [f"run {outcome.number}: {faults or 'see below'}; again: {again}"]
            lines += [f"    {note}" for note in outcome.notes]
            lines.append(f"    harms: {outcome.harms}")
            if outcome.folder:
                lines.append(f"    kept in {outcome.folder}")
            clear = "\r\x1b[K" if sys.stderr.isatty() else ""
            sys.stderr.write(clear + "\n".join(lines) + "\n")
        if sys.stderr.isatty():
            self._draw()

    def _draw(self):
        done, of = len(self.outcomes), len(self._orders)
        bar = "#" * (30 * done // of)
        faulty = sum(not outcome.faultless for outcome in self.outcomes)
        passed_s = time.monotonic() - self._began_s
        left_s = passed_s / done * (of - done)
        sys.stderr.write(
            f"\r\x1b[K[{bar:30}] {done}/{of} runs, {faulty} faulty, {left_s:.0f} s left"
        )
        sys.stderr.flush()

    def as_dict(self):
        """Sum it up."""
        outcomes = sorted(self.outcomes, key=lambda outcome: outcome.number)
        harms, reached = Counter(), Counter()
        for outcome in outcomes:
            harms.update(outcome.harms)
            reached.update(outcome.reached)
        return {
            "runs": len(outcomes),
            **{name: sum(getattr(outcome, name) for outcome in outcomes) for name in _COUNTED},
            "faulty": [outcome.number for outcome in outcomes if not outcome.faultless],
            "seconds": round(time.monotonic() - self._began_s, 1),
            "seconds_a_run": _mean(outcome.seconds for outcome in outcomes),
            "settle_s": _mean(outcome.settle_s for outcome in outcomes),
            "settle_most_s": round(max((one.settle_s for one in outcomes), default=0.0), 1),
            "harms": dict(sorted(harms.items())),
            "died_at": dict(sorted(reached.items())),
        }

    def report(self, *, as_json):
        """Print the sum."""
        sums = self.as_dict()
        if as_json:
            details = [vars(outcome) for outcome in self.outcomes]
            print(json.dumps({**sums, "outcomes": details}))
            return
        print(" ".join(f"{name}={sums[name]}" for name in ("runs", *FAULTS)))
        more = (
            "broken",
            "undelivered",
            "slow_ends",
            "batches",
            "repeats",
            "lives",
            "excused",
            "tracebacks",
            "seconds",
        )
        print(" ".join(f"{name}={sums[name]}" for name in (*more, "seconds_a_run", "settle_s")))
        for name in ("harms", "died_at"):
            told = ", ".join(f"{kind} {count}" for kind, count in sums[name].items())
            print(f"{name.replace('_', ' ')}: {told or 'none'}")
        if sums["faulty"]:
            print(f"faulty runs: {', '.join(map(str, sums['faulty']))}; --only N repeats one")


def _mean(numbers):
    numbers = [*numbers]
    return round(sum(numbers) / len(numbers), 2) if numbers else 0.0
