"""Schema versions count up, and a schema that comes back keeps its number."""

import sqlalchemy as sa

from retail_platform.control.schemas import SchemaVersions


def test_versions_count_per_table(engine: sa.Engine) -> None:
    schemas = SchemaVersions(engine)
    one, two = '[{"name": "id", "type": "long"}]', '[{"name": "id", "type": "string"}]'
    assert schemas.schema_version("orders", one) == 1
    assert schemas.schema_version("orders", two) == 2
    assert schemas.schema_version("orders", '[{"type":"long","name":"id"}]') == 1
    assert schemas.schema_version("stores", two) == 1
