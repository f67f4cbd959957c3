"""The keys that ODCS v3.1 knows, object by object, for telling a typo from a key.

Source: the JSON schema of the standard, ``odcs-json-schema-v3.1.0.json``. The platform's models
are open, as the standard's readers are; only `contract_lint` looks at this.
"""


def _keys(names: str) -> frozenset[str]:
    return frozenset(names.split())


ELEMENT = _keys(
    "id name physicalType description businessName authoritativeDefinitions tags customProperties "
    "quality relationships physicalName logicalType"
)
OPERATORS = _keys(
    "mustBe mustNotBe mustBeGreaterThan mustBeGreaterOrEqualTo mustBeLessThan mustBeLessOrEqualTo "
    "mustBeBetween mustNotBeBetween"
)
KEYS: dict[str, frozenset[str]] = {
    "contract": _keys(
        "version kind apiVersion id name tenant tags status servers dataProduct description domain "
        "schema support price team roles slaDefaultElement slaProperties authoritativeDefinitions "
        "customProperties contractCreatedTs"
    ),
    "schema": ELEMENT | {"dataGranularityDescription", "properties"},
    "properties": ELEMENT
    | _keys(
        "primaryKey primaryKeyPosition logicalTypeOptions required unique partitioned "
        "partitionKeyPosition classification encryptedName transformSourceObjects transformLogic "
        "transformDescription examples criticalDataElement items properties"
    ),
    "quality": OPERATORS
    | _keys(
        "id authoritativeDefinitions businessImpact customProperties description dimension method "
        "name schedule scheduler severity tags type unit metric rule arguments query engine "
        "implementation"
    ),
    "slaProperties": _keys(
        "id property value valueExt unit element driver description scheduler schedule"
    ),
    "team": _keys("id name description members tags customProperties authoritativeDefinitions"),
    "members": _keys(
        "id username name description role dateIn dateOut replacedByUsername tags "
        "customProperties authoritativeDefinitions"
    ),
    "description": _keys("purpose limitations usage authoritativeDefinitions customProperties"),
    "relationships": _keys("type from to customProperties"),
    "customProperties": _keys("id property value description"),
    "support": _keys("id channel url description tool scope invitationUrl customProperties"),
}
"""Object to its keys; an object is named by the key that holds it."""
