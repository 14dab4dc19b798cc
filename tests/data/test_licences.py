import pytest

from rococap.data.licences import licences


@pytest.mark.parametrize(
    ("attribution", "named"),
    [
        ("CC BY-NC [Doe et al.]", ["CC BY-NC"]),
        ("CC BY or CC BY-NC (ROCOv2)", ["CC BY", "CC BY-NC"]),
        ("CC BY-NC-SA 4.0 (a set)", ["CC BY-NC-SA"]),
        ("cc-by-nc-nd-3.0", ["CC BY-NC-ND"]),
        ("CC BY SA, CC BY-SA", ["CC BY-SA"]),
        ("CC0 1.0", ["CC0"]),
        ("https://creativecommons.org/licenses/by-nc/4.0/", ["CC BY-NC"]),
        ("all rights reserved; ACC BYTE", []),
        ("", []),
    ],
)
def test_licences_are_read_in_every_spelling(attribution, named):
    assert licences(attribution) == named
