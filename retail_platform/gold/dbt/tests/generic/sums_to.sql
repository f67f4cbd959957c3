{#-
  The table accounts for all of another: its column adds up to what the other's expression says of
  the rows that count there.
-#}
{% test sums_to(model, column, other, other_sum, other_rows='true') %}
select told, expected
from (select coalesce(sum({{ column }}), 0) as told from {{ model }})
cross join (select {{ other_sum }} as expected from {{ other }} where {{ other_rows }})
where told <> expected
{% endtest %}
