"""Build what depends on which source reads a topic: the selection itself, and the decoder of each topic.

Invariant: a topic that a pattern matches is looked up once; from then on its decoder is one dict access away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bridge.core.topic_selection import TopicSelection
from bridge.formats import Decoder
from bridge.formats.resent import AgainDecoder
from bridge.pipeline.ports import RecordDecoder
from bridge.settings import Settings


def build_selection(settings: Settings) -> TopicSelection:
    """Build the rule for which source reads a topic."""
    return TopicSelection({name: source.topics for name, source in settings.sources.items()})


class TopicDecoders(dict[str, RecordDecoder]):
    """The decoder of each topic. ``decoders[topic]`` raises ``KeyError`` if no source reads the topic.

    Patterns match topics that do not exist at start, so a topic's decoder is added when it is first read.
    """

    def __init__(
        self,
        by_source: Mapping[str, Decoder],
        selection: TopicSelection,
        *,
        again: str,
        endpoints: Collection[str],
    ) -> None:
        """``by_source``: the decoders by source. ``again``: the topic of events that are sent again."""
        self.by_source = dict(by_source)
        self._selection = selection
        self._again = again
        self._endpoints = set(endpoints)
        super().__init__({again: AgainDecoder(self.original, self._endpoints)})

    def adopt(self, endpoints: Collection[str], selection: TopicSelection) -> None:
        """Decode for these endpoints, and no others, from now on, and for the topics of this selection."""
        self._endpoints.clear()
        self._endpoints.update(endpoints)
        self._selection = selection
        for topic in self.keys() - {self._again}:
            del self[topic]

    def original(self, topic: str) -> Decoder | None:
        """Return the decoder of a source topic, which need not exist any more; None if no source reads it."""
        source = self._selection.source_of(topic)
        return None if source is None else self.by_source[source]

    def __missing__(self, topic: str) -> RecordDecoder:
        """Look up the decoder of a topic that is read for the first time."""
        decoder = self.original(topic)
        if decoder is None:
            raise KeyError(topic)
        self[topic] = decoder
        return decoder
