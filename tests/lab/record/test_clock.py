from jaxtheory.lab.record.clock import Clock


def test_seconds_go_on_where_the_run_was_stopped(tmp_path):
    path = tmp_path / "seconds.json"
    path.write_text("100.0")
    assert 100 <= Clock(path).seconds < 110
    for damaged in ("", "null", '"x"'):
        path.write_text(damaged)
        assert Clock(path).seconds < 10


def test_seconds_are_kept_now_and_then(tmp_path, monkeypatch):
    path, now = tmp_path / "seconds.json", [50.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    clock = Clock(path)
    now[0] += 0.5
    clock.store()
    assert not path.exists()
    now[0] += 2
    clock.store()
    assert (clock.seconds, path.read_text()) == (2.5, "2.5\n")
    assert Clock(path).seconds == 2.5
