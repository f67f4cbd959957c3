{{ config(unique_key='period_key', scope='scope_touched_days') }}
{#- A touched day is computed whole, its hours and itself: unchanged rows are not rewritten. -#}
{%- do ref('fct_order_click') -%}
{%- set counts = ['order_count', 'clicks'] -%}
{%- set amounts = [
  'sales_net', 'returns_amount', 'sales_facebook', 'sales_google', 'sales_unattributed',
  'sales_last_click', 'orders_facebook', 'orders_google', 'spend_facebook', 'spend_google',
] -%}
{%- if is_hourly() -%}
  {%- set days = touched_attribution_days() -%}
{%- endif %}
with movements as (
  select
    sold_hour as hour_start, currency,
    {{- movement(counts, amounts, {
      'order_count': 'count(distinct coalesce(order_number, invoice_no))',
      'sales_net': 'sum(net_amount)',
      'returns_amount': sum_where('cast(0 - net_amount as decimal(19, 4))', 'is_return'),
    }) }}
  from {{ ref('fct_sales') }}
  where not is_deleted and not is_cancelled
  {% if is_hourly() %}
    and {{ date_in_spans('sold_date', days) }}
  {% endif %}
  group by sold_hour, currency
  union all
  select
    sold_hour as hour_start, currency,
    {{- movement(counts, amounts, {
      'sales_facebook': sum_where('net_amount', "platform = 'facebook'"),
      'sales_google': sum_where('net_amount', "platform = 'google'"),
      'sales_unattributed': sum_where('net_amount', "platform = 'none'"),
      'sales_last_click': sum_where('net_amount', "rule = 'last_click'"),
      'orders_facebook': sum_where('order_count', "platform = 'facebook'"),
      'orders_google': sum_where('order_count', "platform = 'google'"),
    }) }}
  from {{ ref('mart_attributed_sales') }}
  {% if is_hourly() %}
  where {{ date_in_spans('sold_date', days) }}
  {% endif %}
  group by sold_hour, currency
  union all
  select
    spend_hour as hour_start, currency,
    {{- movement(counts, amounts, {
      'clicks': 'sum(clicks)',
      'spend_facebook': sum_where('spend', "platform = 'facebook'"),
      'spend_google': sum_where('spend', "platform = 'google'"),
    }) }}
  from {{ ref('fct_marketing_spend') }}
  where not is_deleted
  {% if is_hourly() %}
    and {{ in_spans('spend_hour', days) }}
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
    {%- for name in counts %}
    cast(sum({{ name }}) as bigint) as {{ name }},
    {%- endfor %}
    {%- for name in amounts %}
    cast(sum({{ name }}) as decimal(19, 4)) as {{ name }},
    {%- endfor %}
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
  sales_facebook,
  sales_google,
  sales_unattributed,
  sales_last_click,
  orders_facebook,
  orders_google,
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
  {%- for platform in ['facebook', 'google'] %}
  case when spend_{{ platform }} > 0
    then round(cast(sales_{{ platform }} as double) / cast(spend_{{ platform }} as double), 6) end as roas_{{ platform }},
  case when orders_{{ platform }} > 0
    then round(cast(spend_{{ platform }} as double) / cast(orders_{{ platform }} as double), 6) end as cost_per_order_{{ platform }},
  {%- endfor %}
  case when order_count > 0
    then round(cast(sales_net as double) / order_count, 6) end as average_order_value,
  case when sales_net + returns_amount > 0
    then round(cast(returns_amount as double) / cast(sales_net + returns_amount as double), 6) end as return_rate,
  {{ changed_hour('_hour') }} as _hour
from totals
