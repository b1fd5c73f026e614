"""`logs`: every file of the platform, each line with its source, without what only Ray reads."""

from pathlib import Path

from serve.platform import logs
from serve.platform.folder import DataFolder

WORKER = "worker-483237af64c148800fb1a641bae738edcfb2f29fc8eda4d399aa05b9-ffffffff-22742"


def test_the_last_lines_of_each_file_with_a_name_that_people_can_read(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.make()
    folder.log_file.write_text("one\ntwo\nthree\n")
    folder.node_logs_dir.mkdir()
    host = folder.node_logs_dir / f"{WORKER}.out"
    host.write_text(':job_id:01\n:actor_name:ShardHostActor\n{"event":"membership.joined"}\n:job_id:01\n')
    (folder.node_logs_dir / "replica_stampede_http.log").write_text("WARNING\n")
    shown = list(logs.last_lines(logs.log_files(folder), 2))
    assert shown == [
        ("platform", "two"),
        ("platform", "three"),
        ("replica_stampede_http", "WARNING"),
        ("worker-22742", '{"event":"membership.joined"}'),
    ]


def test_what_is_added_is_shown_and_new_files_too(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.make()
    folder.log_file.write_text("old\n")
    rounds = iter(range(4))

    def goes_on() -> bool:
        turn = next(rounds)
        if turn == 1:
            with folder.log_file.open("a") as file:
                file.write(":job_id:01\nnew\n")
            (folder.logs_dir / "postgres.log").write_text("LOG\n")
        return turn < 3

    assert sorted(logs.follow(folder, goes_on)) == [("platform", "new"), ("postgres", "LOG")]
