"""Live views of a key-value table or of a range of its keys, as a mapping's keys(), values() and
items() give them."""

from collections.abc import ItemsView, KeysView, ValuesView


class _Range:
    """What the three views share: a mapping, bounds [start, end), and a direction."""

    def __init__(self, mapping, start=None, end=None, reverse=False):
        super().__init__(mapping)
        self._bounds = (start, end)
        self._reverse = reverse

    def _walk(self, reverse, key, value):
        start, end = self._bounds
        return self._mapping.iterator(
            start, end, reverse=reverse, include_key=key, include_value=value
        )

    def __len__(self):
        if self._bounds == (None, None):
            return len(self._mapping)
        return sum(1 for _ in self._walk(False, True, False))

    def __contains__(self, item):
        if self._bounds == (None, None):
            return super().__contains__(item)
        return any(item == found for found in self)


class RangeKeys(_Range, KeysView):
    """Keys in order."""

    def __iter__(self):
        return self._walk(self._reverse, True, False)

    def __reversed__(self):
        return self._walk(not self._reverse, True, False)


class RangeValues(_Range, ValuesView):
    """Values in the order of their keys."""

    def __iter__(self):
        return self._walk(self._reverse, False, True)

    def __reversed__(self):
        return self._walk(not self._reverse, False, True)


class RangeItems(_Range, ItemsView):
    """(key, value) pairs in order."""

    def __iter__(self):
        return self._walk(self._reverse, True, True)

    def __reversed__(self):
        return self._walk(not self._reverse, True, True)
