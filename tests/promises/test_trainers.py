"""Real trainers get every sample of an epoch once over all ranks, other crops in the next one, and resume exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.trainers.data import BATCHES, patch_loader, write_recipe
from tests.helpers.trainers.programs import PROGRAMS, TIMEOUT_SECONDS, Program


@pytest.fixture(scope="module")
def small_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("trainers"))


@pytest.mark.timeout(TIMEOUT_SECONDS + 20)
@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_a_trainer_gives_three_epochs_and_goes_on_where_it_was_broken_off(
    program: Program, small_recipe: Path, tmp_path: Path
) -> None:
    pytest.importorskip(program.package)
    found = program.run(small_recipe, tmp_path)
    assert {training: wrong for training, wrong in found.items() if wrong} == {}
    assert len(found) == program.trainings


@pytest.mark.filterwarnings("ignore")  # Accelerate's own
def test_accelerate_s_accumulation_of_gradients_goes_on_in_the_next_epoch(small_recipe: Path) -> None:
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=3)
    loader = accelerator.prepare_data_loader(patch_loader(small_recipe))
    assert BATCHES % 3, "otherwise this shows nothing"
    stepped = []
    for _ in range(3):
        for _ in loader:
            with accelerator.accumulate():
                stepped.append(accelerator.sync_gradients)
    assert stepped == [number % 3 == 0 for number in range(1, 3 * BATCHES + 1)]
