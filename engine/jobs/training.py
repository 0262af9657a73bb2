"""One training: its trainer made, run, made anew where a setting needs it, and ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn
from transformers import set_seed

from speedtui.engine import events as e
from speedtui.engine.candidate import Estimate
from speedtui.engine.checkpoint.fingerprint import model_fingerprint
from speedtui.engine.checkpoint.start import load_start
from speedtui.engine.checkpoint.store import CheckpointStore
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.context.context import JobContext, JobStopped
from speedtui.engine.context.order import COMMAND_LINE
from speedtui.engine.errors import JobError, SpeedtuiError
from speedtui.engine.evaluate.evaluator import Evaluator
from speedtui.engine.jobs.ending import end_training
from speedtui.engine.jobs.first_load import first_adapter
from speedtui.engine.jobs.loaders import loader_death
from speedtui.engine.jobs.result import JobResult
from speedtui.engine.jobs.resume_hint import how_to_go_on
from speedtui.engine.jobs.resuming import checkpoint_of, earlier_workers, find_checkpoint
from speedtui.engine.log.clock import working_seconds
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.schedule.steps import counts_of
from speedtui.engine.timing.eta import Eta
from speedtui.engine.timing.step_sizes import step_sizes
from speedtui.engine.trainer.attending import attending
from speedtui.engine.trainer.diverging import Diverging
from speedtui.engine.trainer.eta_reporter import EtaReporter
from speedtui.engine.trainer.live_settings import RATE, REBUILDING, STEPS, LiveSettings
from speedtui.engine.trainer.make import make_training_trainer, save_guess_seconds
from speedtui.engine.trainer.schedule import TrainingSchedule
from speedtui.engine.trainer.training import TrainingTrainer
from speedtui.engine.trial.arithmetic import Arithmetic
from speedtui.engine.trial.failures import describe_failure
from speedtui.engine.trial.prepared import make_trainable
from speedtui.engine.workload.base import Workload
from speedtui.engine.workload.failures import why_broken
from speedtui.engine.workload.float32 import float32_precision
from speedtui.engine.workload.precision import precision_warning

BROKEN_DEVICE = "The device can do nothing more for this process; a new one can use it again."
"""For a person: not the settings but the process is at its end. `--restarts` starts another one by itself."""


class Training:
    """From a loaded workload to the saved model."""

    def __init__(
        self, context: JobContext, settings: Settings, workload: Workload, device: torch.device, *,
        named: Sequence[str], trial: int | None, estimate: Estimate | None, since: float,
    ) -> None:  # fmt: skip
        """`named`: settings by path that the label tells besides; `since`: the run's time `estimate` counts from."""
        self._context, self._workload, self._device = context, workload, device
        self._trial, self._estimate, self._since = trial, estimate, since
        self._counts = counts_of(settings, workload.facts.train_rows)
        self._live = LiveSettings(context, settings, named)
        self._live.total_steps = self._counts.total_steps
        self._live.listeners.append(self._on_change)
        self._store = CheckpointStore(
            context.folder.checkpoints, settings.schedule.keep_checkpoints, now=lambda: context.folder.checkpoints
        )
        self._model = self._make_model(settings)
        context.warn_once(precision_warning(self._model, settings))
        self._flops = Arithmetic(context, device).of(self._model, workload, settings)
        self._found = find_checkpoint(context, self._store, self._model) if context.order.resume else None
        if self._found is None and settings.model.start_from:
            context.notice(f"begins with {load_start(self._model, Path(settings.model.start_from))}")
        self._live.step = self._first_step
        self._earlier = earlier_workers(context, self._first_step)
        self._eta = self._make_eta(settings)
        self._schedule = self._make_schedule(settings)
        self._diverging = Diverging(context, self._live, self._schedule, self._store)
        self._live.evaluates = workload.eval_dataset is not None
        self._live.closing = lambda: self._schedule.closing
        self._evaluator = self._make_evaluator(settings)
        self._trainer: TrainingTrainer | None = None
        self._tell_changes = dict(context.order.changes)

    @property
    def _first_step(self) -> int:
        """Steps done before the present trainer."""
        return self._found.facts.step if self._found is not None else 0

    # -- made once ---------------------------------------------------------------------------------

    def _make_model(self, settings: Settings) -> nn.Module:
        set_seed(settings.train.seed)  # a new adapter's weights are random
        with first_adapter():
            return make_trainable(self._workload.model, settings)

    def _make_eta(self, settings: Settings) -> Eta:
        context = self._context
        return Eta(
            total_steps=self._counts.total_steps,
            first_step=self._first_step,
            epoch_steps=self._counts.epoch_steps,
            schedule=settings.schedule,
            evaluates=self._workload.eval_dataset is not None,
            window=context.order.window,
            wall=context.clock.wall,
            sizes=step_sizes(self._workload, settings),
            estimate=self._estimate,
            save_guess_seconds=save_guess_seconds(self._model, settings),
            since=self._earlier.began_at,
            judged=self._earlier.judged(settings.schedule.best_by),
            losses=self._earlier.losses,
        )

    def _make_schedule(self, settings: Settings) -> TrainingSchedule:
        schedule = TrainingSchedule(self._context, self._live, settings.schedule, self._eta, self._store)
        if self._found is not None:
            schedule.restore(self._found.facts.schedule)
        return schedule

    def _make_evaluator(self, settings: Settings) -> Evaluator | None:
        """Refuses a metric that cannot work before anything is trained."""
        if not settings.schedule.generate:
            return None
        evaluator = Evaluator(
            settings, self._workload, self._device, phases=self._context.phases,
            report=self._schedule.during_evaluation,
            notice=lambda text: self._context.notice(text, level="warning"),
        )  # fmt: skip
        evaluator.prepare()
        return evaluator

    # -- run ---------------------------------------------------------------------------------------

    def run(self) -> JobResult:
        """Trains to the end.

        Raises:
            JobStopped: it was asked to end; a checkpoint is saved unless it was a cancel.
            SpeedtuiError: the metric cannot work, or the training failed.
        """
        with float32_precision(self._device, tf32=self._live.current.train.tf32):
            return self._run()

    def _run(self) -> JobResult:
        began = working_seconds()
        outlook = EtaReporter(self._context, self._live, self._eta, self._diverging.watch)
        self._context.log.add_source(outlook.pump)
        try:
            rehearses = self._live.current.schedule.check_evaluation and not self._first_step
            self._train(outlook, rehearses=rehearses)
            while self._schedule.rebuild or self._diverging.goes_back:
                self._train_anew(outlook)
        finally:
            self._context.log.remove_source(outlook.pump)
            if self._evaluator is not None:
                self._evaluator.close()
        if self._live.waiting:
            names = ", ".join(self._live.waiting)
            self._context.notice(f"{names} was not changed before the training ended", level="warning")
        if self._schedule.stopped is not None:
            raise self._schedule.stopped
        return end_training(
            self._context, self._live.current, self._require_trainer(), self._schedule, self._eta,
            earlier=self._earlier, seconds=working_seconds() - began, estimate=self._estimate, since=self._since,
        )  # fmt: skip

    def _require_trainer(self) -> TrainingTrainer:
        if self._trainer is None:  # never: `_train` made one
            raise AssertionError("a training that has run has a trainer")
        return self._trainer

    def _train(self, outlook: EtaReporter, *, rehearses: bool) -> None:
        """With the settings as they are now, from the checkpoint that was found, if any."""
        context = self._context
        if self._trainer is not None:
            self._trainer = None
            release_memory(self._device)  # the optimizer's state is in the checkpoint; two of them need not fit
        trainer = make_training_trainer(
            context, self._live, self._workload, self._model, self._device, eta=self._eta, outlook=outlook,
            schedule=self._schedule, store=self._store, evaluator=self._evaluator, rehearses=rehearses,
            diverging=self._diverging,
        )  # fmt: skip
        self._trainer = trainer
        self._tell_started()
        context.log.add_source(trainer.meter.pump)
        try:
            with attending(context, self._model, self._workload, self._live.current, self._device):
                trainer.train(resume_from_checkpoint=str(self._found.path) if self._found is not None else None)
            trainer.meter.close(context.log)
        except (JobStopped, SpeedtuiError):
            raise
        except Exception as error:
            raise self._failure(error, trainer.state.global_step + 1) from None
        finally:
            with suppress(RuntimeError):  # a broken device, which is told already
                trainer.meter.close(context.log)
            context.log.remove_source(trainer.meter.pump)
            context.phases.switch_to("other")

    def _train_anew(self, outlook: EtaReporter) -> None:
        """Takes up a setting that only a new trainer can: goes on from the checkpoint just saved."""
        if self._diverging.goes_back:
            self._train_from_before(outlook)
            return
        self._schedule.rebuild = False
        self._live.take_waiting()
        micro_batch = self._live.current.train.micro_batch_size
        measured = (a.step_seconds for a in self._context.order.alternatives if a.values.get(REBUILDING) == micro_batch)
        self._eta.rebuilt(step_sizes(self._workload, self._live.current), next(measured, None))
        self._found = checkpoint_of(self._live.step, self._context, self._store, self._model)
        self._train(outlook, rehearses=False)

    def _train_from_before(self, outlook: EtaReporter) -> None:
        """After it has diverged: goes on from the last finite checkpoint, at a lower rate."""
        reached = self._live.step
        self._found = self._diverging.back(model_fingerprint(self._model))
        if self._found is None:
            raise JobError("no checkpoint from before it diverged can be read", "Start it again at a lower rate.")
        self._schedule.restore(self._found.facts.schedule)
        self._eta.goes_on_from(self._first_step)
        self._earlier = self._earlier.going_back(reached - self._first_step)
        self._train(outlook, rehearses=False)

    def _tell_started(self) -> None:
        train = self._live.current.train
        self._context.emit(
            e.TrainingStarted(
                t=self._context.t,
                total_steps=self._live.total_steps,
                epochs=train.epochs,
                micro_batch_size=train.micro_batch_size,
                grad_accum_steps=train.effective_batch_size // train.micro_batch_size,
                label=self._live.label,
                trial=self._trial,
                first_step=self._first_step,
                flops=self._flops,
            ),
            flush=True,
        )
        if self._tell_changes:
            step, values = self._first_step, self._tell_changes
            self._tell_changes = {}
            changed = e.SettingsChanged(t=self._context.t, step=step, values=values, reason=COMMAND_LINE)
            self._context.emit(changed, flush=True)

    def _failure(self, error: Exception, step: int) -> JobError:
        death = loader_death(error)
        failure = describe_failure(error)
        broken = failure.poisoned or bool(why_broken(self._device))
        go_on = how_to_go_on(self._context.folder, self._context.order)
        if death is not None:
            return JobError(f"training failed at step {step}: {death.reason}", f"{death.hint} {go_on}")
        hint = go_on or "Tune with this data first, or take a smaller micro-batch."
        if broken:
            hint = f"{BROKEN_DEVICE} {hint}"
        return JobError(f"training failed at step {step}: {failure.reason}", hint)

    # -- settings that change while it goes on -----------------------------------------------------

    def _on_change(self, settings: Settings, values: Mapping[str, Scalar]) -> None:
        """Takes up what a command set.

        Raises:
            ConfigError: the metric cannot work.
        """
        if settings.schedule.generate and self._trainer is not None:
            if self._evaluator is None:
                self._evaluator = self._trainer.evaluating.evaluator = self._make_evaluator(settings)
            elif {"schedule.metric", "schedule.generate"} & values.keys():
                self._evaluator.prepare(settings.schedule)
        self._schedule.change(settings.schedule)
        if RATE in values and self._trainer is not None:
            self._trainer.scale_rate(settings.train.learning_rate / self._live.current.train.learning_rate)
        if STEPS in values and settings.train.max_steps is not None:
            self._shorten(settings.train.max_steps)

    def _shorten(self, total_steps: int) -> None:
        """The training ends earlier, and its learning rate with it."""
        self._live.total_steps = total_steps
        self._eta.shorten(total_steps)
        if self._trainer is not None:
            self._trainer.resize(total_steps)
