{{ config(unique_key='kpi_key', scope='scope_touched_kpi_days') }}
{#-
  A bucket counts three times: as itself, as the last week of the period 7 days later and as the
  last year of the period 364 days later (52 weeks: the same weekday). So a sale that changes also
  changes the periods that look back on it.
-#}
{%- do ref('fct_sales') %}
with buckets as (
  select
    sold_hour, region, category, currency, order_count, quantity, gross_amount, returns_amount,
    net_amount, costed_amount, cost_amount, line_count, _hour
  from {{ ref('mart_sales_by_region_category') }}
  {% if is_hourly() %}
  where {{ in_spans('sold_hour', shifted_spans(touched_sales_days(), [0, 7, 364, -7, -364, 357, -357])) }}
  {% endif %}
),

periods as (
  select grain, case when grain = 'day' then date_trunc('day', sold_hour) else sold_hour end as period_start, buckets.*
  from buckets
  cross join (select explode(array('hour', 'day')) as grain)
),

totals as (
  select
    grain,
    timestampadd(day, days_later, period_start) as period_start,
    region, category, currency,
    cast(sum(case when days_later = 0 then line_count else cast(0 as bigint) end) as bigint) as line_count,
    cast(sum(case when days_later = 0 then order_count else cast(0 as bigint) end) as bigint) as order_count,
    cast(sum(case when days_later = 0 then quantity else cast(0 as bigint) end) as bigint) as quantity,
    {% for amount in ['gross_amount', 'returns_amount', 'net_amount', 'costed_amount', 'cost_amount'] -%}
    cast(sum(case when days_later = 0 then {{ amount }} else cast(0 as decimal(19, 4)) end) as decimal(19, 4)) as {{ amount }},
    {% endfor -%}
    cast(sum(case when days_later = 7 then net_amount end) as decimal(19, 4)) as net_amount_last_week,
    cast(sum(case when days_later = 364 then net_amount end) as decimal(19, 4)) as net_amount_last_year,
    max(case when days_later = 0 then _hour end) as _hour
  from periods
  cross join (select explode(array(0, 7, 364)) as days_later)
  group by grain, timestampadd(day, days_later, period_start), region, category, currency
)

select
  {{ surrogate_key('mart', ['grain', 'unix_micros(period_start)', 'region', 'category', 'currency']) }} as kpi_key,
  grain,
  period_start,
  region,
  category,
  currency,
  order_count,
  quantity,
  gross_amount,
  returns_amount,
  net_amount,
  net_amount_last_week,
  net_amount_last_year,
  case when order_count > 0
    then round(cast(net_amount as double) / order_count, 6) end as average_order_value,
  case when gross_amount > 0
    then round(cast(returns_amount as double) / cast(gross_amount as double), 6) end as return_rate,
  costed_amount,
  cast(costed_amount - cost_amount as decimal(19, 4)) as margin_amount,
  case when costed_amount > 0
    then round(cast(costed_amount - cost_amount as double) / cast(costed_amount as double), 6) end as margin_rate,
  {{ changed_hour('_hour') }} as _hour
from totals
where line_count > 0
{% if is_hourly() %}
  and {{ scope_touched_kpi_days() }}
{% endif %}
