"""The workflows, as far as they can run without the service: their pins, their rights, and their commands."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
WORKFLOWS = {path.stem: path for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
WRITES = {
    "regenerate/commit": {"contents", "pull-requests"},
    "docs/publish": {"pages", "id-token"},
    "release/publish": {"contents", "id-token", "attestations"},
    "release/site": {"actions"},
}


def read(name: str) -> dict[str, Any]:
    workflow: dict[str, Any] = yaml.safe_load(WORKFLOWS[name].read_text("utf-8"))
    return workflow


def steps(name: str, job: str) -> dict[str, str]:
    """The commands of a job by the name of their step."""
    return {
        step["name"]: step["run"]
        for step in read(name)["jobs"][job]["steps"]
        if "name" in step and "run" in step
    }


def test_there_are_the_four() -> None:
    assert set(WORKFLOWS) == {"check", "docs", "regenerate", "release"}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_each_action_is_pinned_by_its_hash_with_its_version_beside_it(name: str) -> None:
    used = re.findall(r"uses: (.+)", WORKFLOWS[name].read_text("utf-8"))
    assert used
    assert [action for action in used if not PINNED.fullmatch(action)] == []


def test_an_action_has_one_hash_everywhere() -> None:
    text = "".join(path.read_text("utf-8") for path in WORKFLOWS.values())
    used = set(re.findall(r"uses: ([^@\s]+)@(\S+ # \S+)", text))
    assert len({action for action, _ in used}) == len(used)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_only_the_jobs_that_must_may_write(name: str) -> None:
    workflow = read(name)
    assert workflow["permissions"] == {}
    assert "concurrency" in workflow
    for job, what in workflow["jobs"].items():
        writes = {scope for scope, right in what["permissions"].items() if right == "write"}
        assert writes == WRITES.get(f"{name}/{job}", set())
        assert what["timeout-minutes"] <= 40


@pytest.mark.parametrize("job", ["regenerate/commit", "release/publish", "release/site", "docs/publish"])
def test_a_job_that_may_write_runs_nothing_of_the_branch(job: str) -> None:
    name, _, key = job.partition("/")
    for step in read(name)["jobs"][key]["steps"]:
        assert not re.search(r"python|\.ci/|scripts/|npm", step.get("run", ""))


def test_every_supported_python_is_checked() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    said = {text.rpartition(" ")[2] for text in project["classifiers"] if re.search(r":: 3\.\d+$", text)}
    checked = set(read("check")["jobs"]["checks"]["strategy"]["matrix"]["python"])
    assert said <= checked
    assert {"3.11", "3.12", "3.13", "3.14"} == checked


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_program_that_is_called_is_there(name: str) -> None:
    called = re.findall(r"(?:python3 |run: )(scripts/\S+\.py|\.ci/\S+)", WORKFLOWS[name].read_text("utf-8"))
    assert called
    assert [program for program in called if not (ROOT / program).exists()] == []


def test_what_tests_ask_for_is_installed() -> None:
    wanted = set(re.findall(r"apt-get install ([a-z0-9]+)", (ROOT / "tests/not_run.py").read_text("utf-8")))
    assert wanted
    for job in ("checks", "faults", "dependencies"):
        commands = [step.get("run", "") for step in read("check")["jobs"][job]["steps"]]
        installed = " ".join(command for command in commands if "apt-get install" in command).split()
        assert wanted <= set(installed)


# regenerate.yml, with its commands run as they stand there


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    root = tmp_path / "clone"
    for file in ("generated/kept.py", "generated/gone.py", "CHANGELOG.md", "scripts/test.py"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("as it was\n", "utf-8")
    shell(root, "git init --quiet && git add --all && git commit --quiet --message All")
    return root


def shell(root: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    names = {
        f"GIT_{role}_{what}": "a@example.invalid"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    own = names | {"PATH": os.environ["PATH"], "HOME": str(root.parent), "RUNNER_TEMP": str(root.parent)}
    return subprocess.run(
        command, cwd=root, env=own | environment, capture_output=True, text=True, check=False
    )


def compare(clone: Path) -> str:
    output = clone.parent / "output"
    done = shell(
        clone, steps("regenerate", "generate")["Compare with what is committed"], GITHUB_OUTPUT=str(output)
    )
    assert done.returncode == 0, done.stderr
    return output.read_text("utf-8").strip()


def test_nothing_changed_is_not_stale(clone: Path) -> None:
    assert compare(clone) == "stale=false"


def test_what_was_generated_arrives_in_the_other_job_and_nothing_else(clone: Path) -> None:
    before = clone.parent / "before"
    shell(clone.parent, "git clone --quiet clone before")
    (clone / "generated/kept.py").write_text("as it is now\n", "utf-8")
    (clone / "generated/gone.py").unlink()
    (clone / "generated/new").mkdir()
    (clone / "generated/new/file.bin").write_bytes(bytes(range(256)))
    (clone / "CHANGELOG.md").write_text("new notes\n", "utf-8")
    (clone / "scripts/test.py").write_text("raise SystemExit\n", "utf-8")
    assert compare(clone) == "stale=true"

    patch = clone.parent / "regenerated" / "regenerated.patch"
    patch.parent.mkdir()
    foreign = "--- a/scripts/test.py\n+++ b/scripts/test.py\n@@ -1 +1 @@\n-as it was\n+anything\n"
    own = (clone.parent / "regenerated.patch").read_bytes()
    patch.write_bytes(own + f"diff --git a/scripts/test.py b/scripts/test.py\n{foreign}".encode())
    done = shell(before, steps("regenerate", "commit")["Take the patch, and only what may be in it"])
    assert done.returncode == 0, done.stderr
    changed = shell(before, "git show --name-only --format= HEAD").stdout.split()
    assert changed == ["CHANGELOG.md", "generated/gone.py", "generated/kept.py", "generated/new/file.bin"]
    assert (before / "scripts/test.py").read_text("utf-8") == "as it was\n"
    assert (before / "generated/new/file.bin").read_bytes() == bytes(range(256))
    assert shell(before, "git status --porcelain").stdout == ""


def test_the_result_goes_to_the_branch_of_the_pull_request(clone: Path) -> None:
    push = steps("regenerate", "commit")["Push to the pull request's branch"]
    shell(clone.parent, "git init --quiet --bare hosted.git")
    url = '"https://x-access-token:$TOKEN@github.com/$GITHUB_REPOSITORY.git"'
    assert url in push
    done = shell(clone, push.replace(url, "../hosted.git"), BRANCH="a-branch; touch ../injected", TOKEN="")
    assert done.returncode != 0  # no branch can have such a name, and none of it is run
    assert not (clone.parent / "injected").exists()
    done = shell(clone, push.replace(url, "../hosted.git"), BRANCH="topic/spec", TOKEN="")
    assert done.returncode == 0, done.stderr
    assert "topic/spec" in shell(clone.parent, "git --git-dir hosted.git branch --list").stdout


# docs.yml


def test_the_site_of_each_release_is_kept(tmp_path: Path) -> None:
    """`gh` is played by a script that has the files of two releases, one of them without a site."""
    work = tmp_path / "work"
    (work / "site").mkdir(parents=True)
    (tmp_path / "v0.1.0").mkdir()
    (tmp_path / "v0.1.0/index.html").write_text("of 0.1.0", "utf-8")
    program = tmp_path / "bin" / "gh"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/bash\n"
        'if [ "$2" = list ]; then printf "v0.2.0\\nv0.1.0\\n"; exit; fi\n'
        f'[ "$3" = v0.1.0 ] && tar -czf "$7/site.tar.gz" -C {tmp_path}/v0.1.0 index.html\n',
        "utf-8",
    )
    program.chmod(0o755)
    script = steps("docs", "build")["Add the site of every release"]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = shell(work, script, PATH=f"{program.parent}:{os.environ['PATH']}", RUNNER_TEMP=str(temporary))
    assert done.returncode == 0, done.stderr
    assert (work / "site/versions/0.1.0/index.html").read_text("utf-8") == "of 0.1.0"
    assert "::warning::v0.2.0 has no site.tar.gz" in done.stdout
