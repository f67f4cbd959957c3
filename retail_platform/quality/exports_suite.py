"""Runs an exported Great Expectations suite over a frame, and says which rows it refuses.

Great Expectations takes seconds to import and is imported when a suite runs. The suite itself is
made in `exports`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class SuiteResult:
    """What a suite found.

    Attributes:
        rows: Position of each refused row to the rules that it breaks, in the suite's order.
        failed: Rules that failed, those on the frame as a whole included.
    """

    rows: dict[int, list[str]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


def run_suite(suite: Mapping[str, Any], frame: pa.Table) -> SuiteResult:
    """Validates a frame.

    Args:
        suite: As `exports.great_expectations_suite` makes it.
        frame: Rows with the contract's columns.

    Raises:
        RuntimeError: an expectation could not be computed; the message is the library's.
    """
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    # All at once: added one by one, a second rule on a column would replace the first of its type.
    expected = gx.ExpectationSuite(name=suite["name"], expectations=list(suite["expectations"]))
    batch = (
        context.data_sources.add_pandas("frames")
        .add_dataframe_asset("frame")
        .add_batch_definition_whole_dataframe("whole")
        # Types as Arrow has them: an integer column with NULLs would become floats.
        .get_batch({"dataframe": frame.to_pandas(integer_object_nulls=True)})
    )
    found = batch.validate(expected, result_format={"result_format": "COMPLETE"})
    result = SuiteResult()
    for one in found.results:
        assert one.expectation_config is not None, "it was configured above"
        meta = one.expectation_config.meta
        if (one.exception_info or {}).get("raised_exception"):
            raise RuntimeError(f"{meta['rule']}: {one.exception_info['exception_message']}")
        if not one.success:
            result.failed.append(meta["rule"])
        if meta["on_rows"]:
            for position in one.result.get("unexpected_index_list") or []:
                result.rows.setdefault(int(position), []).append(meta["rule"])
    return result
