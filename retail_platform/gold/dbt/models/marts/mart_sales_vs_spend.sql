{{ config(unique_key='period_key', scope='scope_touched_days') }}
{#- A touched day is computed whole, its hours and itself: unchanged rows are not rewritten. -#}
with movements as (
  select
    sold_hour as hour_start, currency,
    count(distinct coalesce(order_number, invoice_no)) as order_count,
    cast(sum(net_amount) as decimal(19, 4)) as sales_net,
    cast(sum(case when is_return then cast(0 - net_amount as decimal(19, 4)) else cast(0 as decimal(19, 4)) end) as decimal(19, 4)) as returns_amount,
    cast(0 as bigint) as clicks,
    cast(0 as decimal(19, 4)) as spend_facebook,
    cast(0 as decimal(19, 4)) as spend_google,
    max(_hour) as _hour
  from {{ ref('fct_sales') }}
  where not is_deleted and not is_cancelled
  {% if is_hourly() %}
    and sold_date in ({{ touched_days() }})
  {% endif %}
  group by sold_hour, currency
  union all
  select
    spend_hour as hour_start, currency,
    cast(0 as bigint) as order_count,
    cast(0 as decimal(19, 4)) as sales_net,
    cast(0 as decimal(19, 4)) as returns_amount,
    cast(sum(clicks) as bigint) as clicks,
    cast(sum(case when platform = 'facebook' then spend else cast(0 as decimal(19, 4)) end) as decimal(19, 4)) as spend_facebook,
    cast(sum(case when platform = 'google' then spend else cast(0 as decimal(19, 4)) end) as decimal(19, 4)) as spend_google,
    max(_hour) as _hour
  from {{ ref('fct_marketing_spend') }}
  where not is_deleted
  {% if is_hourly() %}
    and cast(spend_hour as date) in ({{ touched_days() }})
  {% endif %}
  group by spend_hour, currency
),

periods as (
  select 'hour' as grain, hour_start as period_start, * from movements
  union all
  select 'day' as grain, date_trunc('day', hour_start) as period_start, * from movements
),

totals as (
  select
    grain, period_start, currency,
    cast(sum(order_count) as bigint) as order_count,
    cast(sum(sales_net) as decimal(19, 4)) as sales_net,
    cast(sum(returns_amount) as decimal(19, 4)) as returns_amount,
    cast(sum(clicks) as bigint) as clicks,
    cast(sum(spend_facebook) as decimal(19, 4)) as spend_facebook,
    cast(sum(spend_google) as decimal(19, 4)) as spend_google,
    max(_hour) as _hour
  from periods
  group by grain, period_start, currency
)

select
  {{ surrogate_key('mart', ['grain', 'unix_micros(period_start)', 'currency']) }} as period_key,
  grain,
  period_start,
  currency,
  order_count,
  sales_net,
  returns_amount,
  clicks,
  spend_facebook,
  spend_google,
  cast(spend_facebook + spend_google as decimal(19, 4)) as spend_total,
  case when spend_facebook + spend_google > 0
    then round(cast(sales_net as double) / cast(spend_facebook + spend_google as double), 6) end as roas,
  case when order_count > 0
    then round(cast(spend_facebook + spend_google as double) / order_count, 6) end as cost_per_order,
  case when sales_net > 0
    then round(cast(spend_facebook + spend_google as double) / cast(sales_net as double), 6) end as spend_share,
  case when order_count > 0
    then round(cast(sales_net as double) / order_count, 6) end as average_order_value,
  case when sales_net + returns_amount > 0
    then round(cast(returns_amount as double) / cast(sales_net + returns_amount as double), 6) end as return_rate,
  {{ changed_hour('_hour') }} as _hour
from totals
