"""Follow which parts of a page are in templates, in SVG, in MathML, or in HTML within these.

Each has a frame, the number of its tag's name. Closing looks at the frames only, not at what else is open in them.
"""

from curation.kernels.html.names import BR, IS_POINT, MATH, SVG, TEMPLATE, P
from runtime.kernels import lean


@lean
def is_foreign(frames, depth):
    """Return whether frames[:depth] end in SVG or MathML."""
    return depth > 0 and (frames[depth - 1] == SVG or frames[depth - 1] == MATH)


@lean
def html_depth(frames, depth):
    """Return how many of frames[:depth] are left when the SVG and MathML in which they end are closed."""
    while is_foreign(frames, depth):
        depth -= 1
    return depth


@lean
def in_foreign(frames, depth, tag):
    """Return the depth after the start of a tag in SVG or MathML that does not end these."""
    top = frames[depth - 1]
    if tag == top or IS_POINT[int(top == MATH), tag]:
        frames[depth] = tag
        depth += 1
    return depth


@lean
def after_end(frames, depth, tag, templates):
    """Return the depth and the number of templates after the end tag of `tag`."""
    top = frames[depth - 1] if depth else -1
    if tag == TEMPLATE and templates:
        while frames[depth - 1] != TEMPLATE:
            depth -= 1
        return depth - 1, templates - 1
    if is_foreign(frames, depth) and (tag == P or tag == BR):
        return html_depth(frames, depth), templates
    if tag == top:
        return depth - 1, templates
    if depth > 1 and top != TEMPLATE and is_foreign(frames, depth - 1) and tag == frames[depth - 2]:
        return depth - 2, templates  # </svg> where a <title> in it is open
    return depth, templates
