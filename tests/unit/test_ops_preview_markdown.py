"""Previews as Markdown: read back by a real parser, bounded, with every delete and without a secret."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ops import preview_markdown as markdown
from ops import risk
from ops.changes import Change, Preview, Violation
from ops.preview_markdown import LIMIT, LINES, code, render
from ops.risk import Risk
from ops.steps import Property
from tests.unit.plans import DOCUMENT, SECRET, comment, document, event, previewed

PARSER = MarkdownIt("gfm-like", {"linkify": False})
HTML = re.compile(r"<!-- nexus:preview -->\n?|<details><summary>[\w ,]+</summary>\n?|</details>\n?")
LINK = "https://github.com/acme/nexus/actions/runs/1"


@dataclass
class Page:
    """What a reader sees of a page: code spans in order, the text around them, links, items before the first fold."""

    spans: list[str] = field(default_factory=list)
    words: str = ""
    links: list[str] = field(default_factory=list)
    items: int = 0


def read(text: str) -> Page:
    """Parse a page; fails where something is not what the renderer writes by itself."""
    page, folds = Page(), 0
    for token in flat(PARSER.parse(text)):
        assert token.type not in ("fence", "code_block", "image", "hr", "blockquote_open", "table_open", "s_open")
        if token.type in ("html_block", "html_inline"):
            assert HTML.fullmatch(token.content), token.content
            folds += token.content.startswith("<details>") - token.content.startswith("</details>")
            assert folds in (0, 1)
        elif token.type == "code_inline":
            page.spans.append(token.content)
        elif token.type == "text":
            page.words += token.content
        elif token.type == "link_open":
            page.links.append(str(token.attrs["href"]))
        elif token.type == "list_item_open":
            page.items += 1
    assert folds == 0
    assert not re.search(r"[@<>|`]", page.words), "nobody is called, and nothing is left of the markup"
    return page


def flat(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        if token.children is None:
            yield token
        else:
            yield from token.children


def before_folding(text: str) -> list[str]:
    """The lines outside of folds; the one that opens a fold counts."""
    found, inside = [], False
    for line in text.splitlines():
        if not inside:
            found.append(line)
        inside = line.startswith("<details>") or (inside and line != "</details>")
    return found


def shown(name: str) -> str:
    """The name as it is shown, from its code span."""
    return read(f"- x {code(name)} y\n").spans[0]


HOSTILE = [
    "plain", "", " ", "`", "``", "a`b``c", "`start", "end`", "| a | b |", "line\nbreak", "\r\n\n# heading",
    "<b>bold</b>", "<script>alert(1)</script>", "</details>", "<!-- x", "-->", "@everyone", "[x](http://evil.example)",
    "![x](y)", "http://evil.example", "www.evil.example", "**bold**", "_em_", "- item", "1. item", "> quote", "~~~",
    "```\ncode\n```", "\\`", "\\", "&amp;", "&#64;all", "\u202eevil", "\u200b", "\x00", "\ud800", "\x1b[31m", "#12",
    "$(rm -rf)", "a" * 5000, "`" * 300, " padded ", "naïve ünïcode 名前 🙂",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_one_code_span(name: str) -> None:
    page = read(
        render([Preview("dev", (Change("delete", "a:b:C", name, cause=name, risks=(Risk(risk.LOSES, name),)),))])
    )
    assert page.spans[:3] == ["dev", shown(name), "C"]
    assert page.items == 1
    assert "\n" not in shown(name) and len(shown(name)) <= markdown.NAME + 20


def test_names_that_differ_are_shown_differently() -> None:
    names = [*HOSTILE, f"{'a' * 5000}-1", f"{'a' * 5000}-2"]
    assert len({shown(name) for name in names}) == len(names)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_stack_type_value_or_policy_is_no_markup(name: str) -> None:
    one = Change(
        "replace", f"x:y:{name}", "n", properties=(Property(name, "update-replace", name, [name]),), cause=name
    )
    said = Violation(name, name, "mandatory", name, name)
    page = read(render([Preview(name, (one,), 3, (said,)), Preview(name, failed=True), Preview(name)], LINK))
    assert page.links == [LINK, LINK] and page.items == 4, "a policy, a change, and its one property below the fold"


# bounds

TEXT = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=60), st.from_regex(r"[a-z]{3,8}-[0-9]{1,3}", fullmatch=True)
)
PROPERTY = st.builds(
    Property,
    TEXT,
    st.sampled_from(["update", "add", "update-replace", "delete-replace"]),
    TEXT,
    st.one_of(TEXT, st.none()),
)


@st.composite
def change(draw: st.DrawFn) -> Change:
    op = draw(st.sampled_from(["create", "update", "replace", "delete"]))
    properties = tuple(draw(st.lists(PROPERTY, max_size=3)))
    risks = tuple(draw(st.lists(st.builds(Risk, st.sampled_from(risk.LABELS), TEXT), min_size=1, max_size=2)))
    return Change(op, f"docker:index:{draw(TEXT)}", draw(TEXT), "urn", properties, draw(TEXT), risks)


@dataclass(frozen=True)
class Recipe:
    """A plan of up to some thousand changes: a few that were drawn, each so often."""

    stack: str
    few: tuple[Change, ...]
    times: int
    said: tuple[Violation, ...]

    def preview(self) -> Preview:
        many = (
            replace(one, name=f"{one.name}-{number}" if number else one.name)
            for number in range(self.times)
            for one in self.few
        )
        return Preview(self.stack, tuple(sorted(many, key=lambda one: one.rank)), 7, self.said)


VIOLATION = st.builds(Violation, TEXT, TEXT, st.sampled_from(["mandatory", "advisory"]), TEXT, TEXT)
RECIPE = st.builds(
    Recipe, TEXT, st.lists(change(), max_size=8).map(tuple), st.sampled_from([1, 1, 1, 1, 1, 5, 40, 400]),
    st.lists(VIOLATION, max_size=3).map(tuple),
)  # fmt: skip


def named(page: Page) -> Counter[str]:
    """Names that a page has, with ranges written out."""
    found: Counter[str] = Counter()
    for span in page.spans:
        found[span] += 1
        if run := re.fullmatch(r"(.*)\{(\d+)\.\.(\d+)\}", span, re.DOTALL):
            found.update(f"{run[1]}{number}" for number in range(int(run[2]), int(run[3]) + 1))
    return found


@settings(
    max_examples=300, deadline=None, phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck)
)
@given(st.lists(RECIPE, min_size=1, max_size=4))
def test_a_generated_plan_is_valid_bounded_and_drops_no_delete(recipes: list[Recipe]) -> None:
    previews = [recipe.preview() for recipe in recipes]
    text = render(previews, LINK)
    page = read(text)
    assert len(text) <= LIMIT
    assert len(before_folding(text)) <= LINES
    removed = [one for each in previews for one in each.changes if one.op in ("delete", "replace")]
    left = re.search(r"(\d+) of the (\d+) that are deleted or replaced do not fit here", page.words)
    if left:
        assert int(left[2]) == len(removed)
        assert page.items == len(removed) - int(left[1])
    else:
        missing = Counter(map(shown, {one.name: one for one in removed})) - named(page)
        assert not missing, "every name is there"
    for each in previews:
        for op, count in each.counts.items():
            assert left or not count or f"{count} to {op}" in page.words, "every action is counted above the fold"


@pytest.mark.parametrize(
    ("count", "name", "fits"),
    [
        (5000, "items-{}", True),
        (5000, "{}", True),
        (5000, "service-{0:x}-with-a-name-of-its-own", False),
        (600, "s-{0:x}", True),
    ],
)
def test_thousands_of_deletes_are_named_or_counted_with_the_place_that_has_them(
    count: int, name: str, fits: bool
) -> None:
    names = [name.format(number) for number in range(count)]
    text = render(
        [Preview("prod", tuple(Change("delete", "a:b:C", one, risks=(Risk(risk.LOSES, "x"),)) for one in names))], LINK
    )
    page = read(text)
    assert len(text) <= LIMIT and f"{count} to delete" in page.words
    if fits:
        assert set(names) <= set(named(page))
    else:
        left = re.search(r"(\d+) of the 5000 that are deleted or replaced do not fit here: the run has all", page.words)
        assert left and int(left[1]) + page.items == count and page.items > 500
        assert page.links == [LINK]


def test_ranges_name_what_they_stand_for_and_nothing_else() -> None:
    assert markdown.ranges(["a-1", "a-2", "a-3", "a-5", "b", "c-01", "c-02", "c-03"]) == [
        "b", "c-01", "c-02", "c-03", "a-{1..3}", "a-5"
    ]  # fmt: skip
    assert markdown.ranges(["a-1", "a-1", "a-2"]) == ["a-1", "a-1", "a-2"]


@given(st.lists(st.integers(0, 500), max_size=8), st.integers(0, 60))
def test_the_room_is_shared_so_that_nobody_lacks_what_another_leaves(needs: list[int], room: int) -> None:
    given_ = markdown.shares(needs, room)
    assert sum(given_) <= room and all(got <= need for got, need in zip(given_, needs, strict=True))
    if given_ and sum(needs) >= room:
        assert sum(given_) > room - len(needs)


def test_no_secret_is_in_any_format(capsys: pytest.CaptureFixture[str]) -> None:
    from ops import preview as verb

    made = previewed(
        "dev",
        event("replace", "x", old={"a": SECRET, "b": {"c": SECRET}}, new={"a": "hunter2", "b": {"c": "hunter2"}},
              detailedDiff={"a": {"diffKind": "update-replace"}, "b": {"diffKind": "update"}}),
    )  # fmt: skip
    for form in ("text", "markdown", "json"):
        verb.show(made, form)
    told = capsys.readouterr().out
    assert "hunter2" not in told and told.count("[secret]") >= 6


# what is said


def test_nothing_to_do_is_one_line_for_all_and_a_failed_preview_is_never_silent() -> None:
    text = render([Preview("dev", same=9), Preview("prod", same=9), Preview("test", failed=True)], LINK)
    assert "No changes in `dev`, `prod`." in text
    assert "### `test`: no preview" in text and f"see its [log]({LINK})" in text


def test_counts_deletes_causes_and_risks_are_above_the_fold() -> None:
    above = "\n".join(before_folding(render([previewed("added-service")])))
    assert "7 to replace, 12 to update, 23 to create; worst: **restarts**; 168 unchanged" in above
    assert above.count("- **replace**") == 7
    assert (
        "`consul-server` (`Container`): **restarts**: about 4 s without an answer. Because: `cpus` `(none)` → `1.0`"
        in above
    )


def test_policies_come_first() -> None:
    said = Violation("no-public-admin-port", "nexus", "mandatory", "bind it to 127.0.0.1", "kong-server")
    text = render([Preview("prod", previewed("memory").changes, 0, (said,))])
    assert "**policies refuse it** (1)" in text
    first = next(line for line in text.splitlines() if line.startswith("- "))
    assert first == "- **policy** `no-public-admin-port` refuses `kong-server`: `bind it to 127.0.0.1`"


def test_the_comment_of_the_walk_through_is_the_one_that_is_written() -> None:
    assert DOCUMENT.read_text() == document(), "stale: run `.venv/bin/python -m tests.unit.plans` and commit it"
    assert "\n".join(line.removeprefix(">").removeprefix(" ") for line in comment().splitlines()) + "\n" == render(
        [replace(previewed("added-service"), stack="dev"), replace(previewed("swarm-image"), stack="prod")],
        "https://github.com/acme/nexus/actions/runs/42",
    )


def test_every_label_is_explained_in_the_walk_through() -> None:
    for label in risk.LABELS:
        assert f"| **{label}** |" in DOCUMENT.read_text(), label
