"""The notes beside verl's dump of a training step: gathered as outcomes and advantages come, read and written last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from omegaconf import DictConfig
from torch import Tensor

from verl_hdpo.adapters.call_log import CALL_LOG_KEY, is_dumped
from verl_hdpo.adapters.scoring import Rollouts, Scoring
from verl_hdpo.adapters.thumbnail import thumbnail
from verl_hdpo.outcomes.ledger import LEDGER_KEY, MODEL_SPANS_KEY
from verl_hdpo.outcomes.model_spans import model_spans
from verl_hdpo.outcomes.sidecar import Note


class RowTexts(NamedTuple):
    """What a host has of a row when it dumps it.

    Attributes:
        responses: ids, without padding.
        mask_T: of them.
        extra: fields of the agent loop's output.
        prompt: messages.
        advantages_T: verl's own; None if nobody asked for them.
    """

    responses: list[int]
    mask_T: Tensor
    extra: Mapping[str, Any]
    prompt: Sequence[Mapping[str, Any]]
    advantages_T: Tensor | None


class RolloutNotes:
    """The notes of one step, which may have several updates.

    Nothing is gathered in a run that dumps no rollouts.
    """

    def __init__(self, config: DictConfig):
        self._wanted, self._estimator = is_dumped(config), str(config.algorithm.adv_estimator)
        self._notes: dict[str, Note] = {}

    def add(self, keys: Sequence[str], rollouts: Rollouts, scores: Scoring | None = None) -> None:
        """What the trainer made of a batch whose rows have these keys.

        Args:
            scores: None where verl's own estimator makes the advantages.
        """
        if not self._wanted:
            return
        outcomes, found = rollouts.outcomes, scores.advantages if scores else None
        columns = {
            "data_source": list(rollouts.sources),
            "known": outcomes.known_B.tolist(),
            "correct": outcomes.correct_B.tolist(),
            "verdict": list(outcomes.sources),
            "lost": list(outcomes.lost),
            "calls": outcomes.tool_calls_B.tolist(),
            "cost": (scores.cost_B if scores else outcomes.tool_calls_B.double()).tolist(),
        }
        if found is not None:
            columns["advantage"] = found.accuracy_B.tolist()
            if found.efficiency_B is not None:
                columns["tool_advantage"] = found.efficiency_B.tolist()
        final = [keys[row] for row in rollouts.index.final_B.tolist()]
        for key, *values in zip(final, *columns.values(), strict=True):
            self._notes[key] = {"uid": key, **dict(zip(columns, values, strict=True)), "estimator": self._estimator}  # type: ignore[typeddict-item]

    def read(self, texts: Callable[[list[str], bool], Sequence[RowTexts]], tokenizer: Any) -> list[Note]:
        """The notes gathered since the last call, with the texts.

        Args:
            texts: gives them, by key; with verl's advantages if its second argument says so.
        """
        notes, self._notes = self._notes, {}
        if not notes:
            return []
        found = texts([*notes], any("advantage" not in note for note in notes.values()))
        for note, row in zip(notes.values(), found, strict=True):
            spans = row.extra.get(MODEL_SPANS_KEY)
            segments = _segments(row.responses, _spans(row.mask_T) if spans is None else spans)
            written = tokenizer.batch_decode([ids for _, ids in segments], skip_special_tokens=False)
            note["prompt"] = [_message(message) for message in row.prompt]
            note["segments"] = [(who, text) for (who, _), text in zip(segments, written, strict=True)]
            note["ledger"] = row.extra.get(LEDGER_KEY)
            note["reported"] = _plain(row.extra.get("reward_extra_info") or {})
            if CALL_LOG_KEY in row.extra:
                note["call_log"] = row.extra[CALL_LOG_KEY]
            if row.advantages_T is not None and row.mask_T.any():
                note["advantage"] = float(row.advantages_T[row.mask_T.bool()][0])
        return list(notes.values())


def source_notes(uids: Iterable[Any], sources: Iterable[Any]) -> list[Note]:
    """Of a validation: the data source of each prompt, which verl's dump does not name."""
    named = {str(uid): str(source) for uid, source in zip(uids, sources, strict=True)}
    return [{"uid": uid, "data_source": source} for uid, source in named.items()]


def _spans(mask_T: Tensor) -> list[list[int]]:
    """Of a loop that keeps no spans; where the mask was emptied, all counts as the model's."""
    return model_spans(mask_T.tolist()) or [[0, len(mask_T)]]


def _segments(ids: Sequence[int], spans: Sequence[Sequence[int]]) -> list[tuple[str, Sequence[int]]]:
    """The response in stretches of the ``model`` and of the ``tools``."""
    segments, at = [], 0
    for start, end in spans:
        segments += [("tools", ids[at:start])] * (start > at) + [("model", ids[start:end])]
        at = end
    return segments + [("tools", ids[at:])] * (at < len(ids))


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    """With images that fit into a line of JSON."""
    content = message.get("content")
    if isinstance(content, list):
        content = [_part(part) for part in content]
    return {**message, "content": content}


def _part(part: Any) -> Any:
    if isinstance(part, Mapping) and part.get("type") in ("image", "image_url"):
        return {"type": "image", "image": thumbnail(part)}
    return part


def _plain(info: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of numpy and torch as Python's."""
    return {key: value.tolist() if hasattr(value, "tolist") else value for key, value in info.items()}
