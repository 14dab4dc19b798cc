from rococap.data.ids import ByName


def test_ids_are_found_however_they_are_padded_unless_two_differ_in_that_alone():
    found = ByName({"x_007": 1, "y_01": 2, "y_1": 3})
    assert (found.find("x_7"), found.find("x_0007"), found.find("x_8")) == ("x_007", "x_007", None)
    assert (found.find("y_01"), found.find("y_1"), found.find("y_001")) == ("y_01", "y_1", None)
    assert (found.get("x_7", 0), found.get("y_001", 0)) == (1, 0)
