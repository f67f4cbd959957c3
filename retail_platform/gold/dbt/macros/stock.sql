{#- Versions of stock levels, each with the start of the one after it. -#}
{% macro silver_stock() -%}
  select
    product_id, location_id, shelf, bin, quantity, valid_from, valid_to,
    lead(valid_from) over (partition by product_id, location_id order by valid_from) as next_from
  from {{ source('silver', 'stock_levels') }}
  where not coalesce(_deleted, false) and not coalesce(_inferred, false)
{%- endmacro %}

{#-
  Predicate: the version `stock` stands at the end of the hour. One that a snapshot no longer has ends
  with that snapshot's hour, and is gone of it already; one that another follows at that moment is not.
-#}
{% macro stands_at_end_of(hour) -%}
  stock.valid_from < timestampadd(hour, 1, {{ hour }})
  and (
    stock.valid_to is null or stock.valid_to > timestampadd(hour, 1, {{ hour }})
    or (stock.valid_to = timestampadd(hour, 1, {{ hour }}) and stock.next_from = stock.valid_to)
  )
{%- endmacro %}
