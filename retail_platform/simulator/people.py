"""Customers and stores: their rows from the pack, and how they change.

Here belongs who buys and where they live: moves, new e-mail addresses, stores that change staff.
"""

import re
from collections.abc import Mapping
from datetime import date

import retail_platform.simulator.pack as pack
from retail_platform.simulator.chance import days, dice, shop_second
from retail_platform.simulator.changes import Row, State
from retail_platform.simulator.journal import Journal
from retail_platform.simulator.shifts import DAY, local_micros

MOVES_A_DAY = 40
NEW_EMAILS_A_DAY = 6
STORE_CHANGES_A_DAY = 2
_HOME, _MAIN_OFFICE = "2", "3"


def addresses() -> dict[str, Row]:
    """Address columns by business entity; the home or main office if there are more."""
    states = {row["StateProvinceID"]: row for row in pack.oltp_rows("StateProvince")}
    by_id = {row["AddressID"]: row for row in pack.oltp_rows("Address")}
    chosen: dict[str, tuple[bool, Row]] = {}
    for link in pack.oltp_rows("BusinessEntityAddress"):
        preferred = link["AddressTypeID"] in (_HOME, _MAIN_OFFICE)
        entity = link["BusinessEntityID"]
        if entity in chosen and (chosen[entity][0] or not preferred):
            continue
        address = by_id[link["AddressID"]]
        state = states[address["StateProvinceID"]]
        chosen[entity] = (
            preferred,
            {
                "address_line": address["AddressLine1"] or None,
                "city": address["City"] or None,
                "state_province": state["StateProvinceCode"] or None,
                "postal_code": address["PostalCode"] or None,
                "country_code": state["CountryRegionCode"] or None,
                "territory_id": int(state["TerritoryID"]),
            },
        )
    return {entity: row for entity, (_, row) in chosen.items()}


def _emails() -> dict[str, str]:
    return {row["BusinessEntityID"]: row["EmailAddress"] for row in pack.oltp_rows("EmailAddress")}


def customer_rows(places: Mapping[str, Row], web_names: Mapping[str, str]) -> State:
    """Every customer without ``modified_at``, by ``(customer_id,)``.

    Args:
        places: Address columns by business entity.
        web_names: Names by e-mail address, known only from web orders.
    """
    phones = {row["BusinessEntityID"]: row["PhoneNumber"] for row in pack.oltp_rows("PersonPhone")}
    contacts = {str(row["CustomerID_K"]): row["FullName"] for row in pack.reseller_contacts()}
    emails = _emails()
    rows: State = {}
    for customer in pack.oltp_rows("Customer"):
        person, store = customer["PersonID"], customer["StoreID"]
        kind = "person" if not store else "store_contact" if person else "store"
        email = emails.get(person)
        place = places.get(person) or places.get(store) or {}
        customer_id = int(customer["CustomerID"])
        rows[(customer_id,)] = {
            "customer_id": customer_id,
            "account_number": customer["AccountNumber"],
            "customer_type": kind,
            "person_id": int(person) if person else None,
            "store_id": int(store) if store else None,
            "territory_id": int(customer["TerritoryID"]),
            "full_name": web_names.get(email or "") or contacts.get(person),
            "email": email,
            "phone": phones.get(person),
            "address_line": place.get("address_line"),
            "city": place.get("city"),
            "state_province": place.get("state_province"),
            "postal_code": place.get("postal_code"),
            "country_code": place.get("country_code"),
        }
    return rows


def store_rows(places: Mapping[str, Row], customers: State) -> State:
    """Every store without ``modified_at``, by ``(store_id,)``; the territory is its customer's."""
    territories = {
        row["store_id"]: row["territory_id"]
        for row in customers.values()
        if row["customer_type"] == "store"
    }
    rows: State = {}
    for store in pack.oltp_rows("Store"):
        survey = dict(re.findall(r"<(\w+)>([^<]*)</", store["Demographics"]))
        store_id = int(store["BusinessEntityID"])
        place = places.get(store["BusinessEntityID"], {})
        rows[(store_id,)] = {
            "store_id": store_id,
            "name": store["Name"],
            "sales_person_id": int(store["SalesPersonID"]) if store["SalesPersonID"] else None,
            "territory_id": territories.get(store_id),
            "business_type": survey.get("BusinessType"),
            "year_opened": int(survey["YearOpened"]) if "YearOpened" in survey else None,
            "specialty": survey.get("Specialty"),
            "square_feet": int(survey["SquareFeet"]) if "SquareFeet" in survey else None,
            "employees": int(survey["NumberEmployees"]) if "NumberEmployees" in survey else None,
            "city": place.get("city"),
            "state_province": place.get("state_province"),
            "country_code": place.get("country_code"),
        }
    return rows


def write_customers(
    journal: Journal,
    *,
    seed: int,
    customers: State,
    late: Mapping[int, int],
    first: date,
    last: date,
) -> None:
    """Write all customers, then their moves and new e-mail addresses from ``first`` to ``last``.

    Args:
        journal: The log to write.
        seed: Seed of all draws.
        customers: Rows from :func:`customer_rows`.
        late: Customers whose row is committed only after their first order: id -> that instant.
        first: First local day with changes.
        last: Last local day with changes.
    """
    rng = dice(seed, "customers")
    for key, row in customers.items():
        known = journal.start - DAY - int(rng.random() * 700 * DAY)
        journal.put("customers", key, row, late.get(key[0], known))
    current = {key: row for key, row in customers.items() if key[0] not in late}
    keys = list(current)
    people = [key for key in keys if current[key]["email"]]
    for day in days(first, last):
        rng = dice(seed, "customers", day)
        events = [(local_micros(day, shop_second(rng)), False) for _ in range(MOVES_A_DAY)]
        events += [(local_micros(day, shop_second(rng)), True) for _ in range(NEW_EMAILS_A_DAY)]
        for at, is_email in sorted(events):
            key = rng.choice(people if is_email else keys)
            if at < journal.start:
                continue
            changed = (
                _with_new_email(current[key], rng.randrange(1_000))
                if is_email
                else _moved(current[key], current[rng.choice(keys)], rng.randrange(1, 9_999))
            )
            current[key] = changed
            journal.put("customers", key, changed, at, op="update")


def _moved(row: Row, neighbour: Row, house: int) -> Row:
    """The row at a new house in the neighbour's street, city and territory."""
    street = str(neighbour["address_line"] or "Main Street").lstrip("0123456789 ")
    place = ("city", "state_province", "postal_code", "country_code", "territory_id")
    return {
        **row,
        **{column: neighbour[column] for column in place},
        "address_line": f"{house} {street}",
    }


def _with_new_email(row: Row, number: int) -> Row:
    name, _, domain = str(row["email"]).partition("@")
    return {**row, "email": f"{name}.{number}@{domain}"}


def write_stores(journal: Journal, *, seed: int, stores: State, first: date, last: date) -> None:
    """Write all stores, then the changes of their staff from ``first`` to ``last``."""
    rng = dice(seed, "stores")
    for key, row in stores.items():
        journal.put("stores", key, row, journal.start - DAY - int(rng.random() * 700 * DAY))
    current, keys = dict(stores), list(stores)
    for day in days(first, last):
        rng = dice(seed, "stores", day)
        for at in sorted(local_micros(day, shop_second(rng)) for _ in range(STORE_CHANGES_A_DAY)):
            key = rng.choice(keys)
            hired = rng.choice((-2, -1, 1, 2, 3))
            if at < journal.start:
                continue
            employees = max(1, int(current[key]["employees"] or 1) + hired)
            current[key] = {**current[key], "employees": employees}
            journal.put("stores", key, current[key], at, op="update")
