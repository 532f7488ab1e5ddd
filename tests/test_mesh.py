"""Meshes and tracks: what is read equals what was written, and another topology or a gap never passes unseen."""

import struct

import numpy as np
import pytest

from lib import paths
from lib.data import mesh, tracks
from lib.errors import InputError

ASCII_SQUARE = """ply
format ascii 1.0
element vertex 4
property float x
property float y
property float z
property uchar red
element face 1
property list uchar int vertex_indices
end_header
0 0 0 255
2 0 0 255
2 2 0 255
0 2 0 255
4 0 1 2 3
"""


def write_binary_square(path, order):
    sign = {"little": "<", "big": ">"}[order]
    header = (f"ply\nformat binary_{order}_endian 1.0\nelement vertex 4\nproperty double x\nproperty double y\n"
              "property double z\nelement face 2\nproperty list uchar uint vertex_indices\nend_header\n")
    corners = [(0, 0, 0), (2, 0, 0), (2, 2, 0), (0, 2, 0)]
    body = b"".join(struct.pack(f"{sign}3d", *corner) for corner in corners)
    body += struct.pack(f"{sign}B3I", 3, 0, 1, 2) + struct.pack(f"{sign}B3I", 3, 0, 2, 3)
    path.write_bytes(header.encode() + body)


def test_a_square_of_side_two_has_area_four_in_every_format(tmp_path):
    (tmp_path / "a.ply").write_text(ASCII_SQUARE)
    (tmp_path / "b.obj").write_text("v 0 0 0\nv 2 0 0\nv 2 2 0\nv 0 2 0\nvt 0 0\nf 1/1/1 2/1/1 3/1/1 4/1/1\n")
    (tmp_path / "negative.obj").write_text("v 0 0 0\nv 2 0 0\nv 2 2 0\nv 0 2 0\nf -4 -3 -2 -1\n")
    write_binary_square(tmp_path / "c.ply", "little")
    write_binary_square(tmp_path / "d.ply", "big")
    for path in tmp_path.iterdir():
        square = mesh.read(path)
        assert square.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
        assert mesh.surface_area(square.vertices, square.faces) == pytest.approx(4.0)


@pytest.mark.parametrize(("name", "text", "message"), [
    ("cut.ply", ASCII_SQUARE[:-12], "broken mesh"),
    ("face.ply", ASCII_SQUARE.replace("4 0 1 2 3", "4 0 1 2 9"), "names vertex 9 of 4"),
    ("nan.ply", ASCII_SQUARE.replace("2 2 0 255", "2 nan 0 255"), "finite vertices"),
    ("text.ply", "hello", "not a PLY file"),
    ("empty.obj", "", "expected finite vertices"),
    ("words.obj", "v one two three\n", "broken mesh"),
    ("face.stl", "solid", "expected a .ply or .obj"),
])
def test_a_broken_mesh_is_refused_by_name(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=f"{name}.*{message}"):
        mesh.read(tmp_path / name)


def test_vertices_of_the_right_topology_pass_in_every_layout():
    track = np.arange(24, dtype=np.float64).reshape(2, 4, 3)
    for layout in (track, track.reshape(2, 12)):
        assert np.array_equal(mesh.check_topology(layout, 4), track)
    assert mesh.check_topology(track[0], 4).shape == (1, 4, 3)


def test_another_topology_is_refused_with_both_counts():
    with pytest.raises(InputError, match=r"pred: shape \(2, 5023, 3\); expected \(frames, 23370, 3\)"):
        mesh.check_topology(np.zeros((2, 5023, 3)), 23370, "pred")


def test_lost_positions_are_refused():
    with pytest.raises(InputError, match="NaN"):
        mesh.check_topology(np.full((1, 4, 3), np.nan), 4)


def track_with_gap(start, length, frames=20):
    points = np.arange(frames, dtype=np.float32)[:, None, None] * np.ones((1, 68, 2), np.float32)
    points[start:start + length] = np.nan
    return points


def test_a_gap_of_five_frames_is_bridged_by_a_straight_line():
    filled = tracks.fill_gaps(track_with_gap(5, 5))
    assert np.allclose(filled[:, 0, 0], np.arange(20))


def test_a_gap_of_six_frames_splits_the_track():
    points = track_with_gap(5, 6)
    assert tracks.split_at_gaps(points) == [slice(0, 5), slice(11, 20)]
    with pytest.raises(InputError, match=r"\(0, 5\), \(11, 20\).*split"):
        tracks.fill_gaps(points)


def test_a_gap_at_the_end_is_not_invented():
    assert tracks.split_at_gaps(track_with_gap(17, 3)) == [slice(0, 17)]
    with pytest.raises(InputError, match="at an end"):
        tracks.fill_gaps(track_with_gap(17, 3))


def test_a_track_without_a_face_has_no_stretch():
    assert tracks.split_at_gaps(track_with_gap(0, 20)) == []


def test_filling_leaves_seen_frames_and_the_input_as_they_are():
    points = track_with_gap(5, 3)
    filled = tracks.fill_gaps(points)
    assert np.array_equal(filled[8:], points[8:]) and np.isnan(points[5:8]).all()


@pytest.mark.parametrize("shape", [(10, 106, 2), (10, 68), (0, 68, 2), (10, 68, 4)])
def test_another_landmark_layout_is_refused(shape):
    with pytest.raises(InputError, match="expected .frames, 68, 2 or 3."):
        tracks.check_landmarks(np.zeros(shape))


def test_table_columns_are_found_by_name_whatever_their_order(tmp_path):
    (tmp_path / "rig.csv").write_text("time,jawOpen,eyeBlinkLeft\n0,0.5,1\n1,0.25,0\n")
    table = tracks.read_table(tmp_path / "rig.csv", ["eyeBlinkLeft", "jawOpen"])
    assert table.tolist() == [[1.0, 0.5], [0.0, 0.25]]


@pytest.mark.parametrize(("text", "message"), [
    ("jawOpen\n0.5\n", r"column\(s\) eyeBlinkLeft missing \(1 of 2\)"),
    ("jawOpen,eyeBlinkLeft\n0.5\n", "row 1 has 1 values; expected 2"),
    ("jawOpen,eyeBlinkLeft\n0.5,high\n", "row 1, column eyeBlinkLeft: 'high'"),
    ("jawOpen,eyeBlinkLeft\n0.5,inf\n", "no finite number"),
    ("jawOpen,eyeBlinkLeft\n", "no rows"),
    ("", "missing"),
])
def test_a_table_with_a_hole_is_refused_by_name(tmp_path, text, message):
    (tmp_path / "rig.csv").write_text(text)
    with pytest.raises(InputError, match=f"rig.csv: .*{message}"):
        tracks.read_table(tmp_path / "rig.csv", ["jawOpen", "eyeBlinkLeft"])


@pytest.mark.parametrize(("name", "vertices", "faces"), [
    ("biwi_topology/BIWI.ply", 23370, 46068), ("flame_topology/FLAME_sample.ply", 5023, 9976)])
def test_published_meshes_have_their_published_counts(name, vertices, faces):
    path = paths.find_asset(name)
    if path is None:
        pytest.skip(f"needs {name}")
    found = mesh.read(path)
    assert (len(found.vertices), len(found.faces)) == (vertices, faces)
    if "BIWI" in name:                                      # the unit of that corpus: surface area 1, mean 0
        assert mesh.surface_area(found.vertices, found.faces) == pytest.approx(1.0, abs=1e-5)
        assert np.abs(found.vertices.mean(0)).max() < 1e-6
