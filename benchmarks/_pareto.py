"""The Pareto front of speed and quality."""


def front(points: list[tuple[float, float]]) -> list[bool]:
    """Return, for each (frames a second, PSNR), whether no other point is at least as good in both and not equal."""
    return [
        not any(other != point and other[0] >= point[0] and other[1] >= point[1] for other in points)
        for point in points
    ]
