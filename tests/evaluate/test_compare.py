"""Scores are means over frames."""

from vidsr.evaluate.compare import Score


def test_a_frame_equal_to_the_original_does_not_count_towards_the_mean_psnr() -> None:
    score = Score("flow")
    for psnr_y, mse_y in ((40.0, 2.0), (float("inf"), 0.0), (50.0, 1.0), (float("inf"), 0.0)):
        score.add({"psnr_y": psnr_y, "ssim_y": 1.0, "mse_y": mse_y}, 1.0)
    assert (score.psnr_y, score.mse_y, score.frames) == (45.0, 0.75, 4)
    same = Score("same")
    same.add({"psnr_y": float("inf"), "ssim_y": 1.0, "mse_y": 0.0}, 1.0)
    assert same.psnr_y == float("inf")
