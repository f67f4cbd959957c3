{{ config(unique_key='bucket_key', scope='scope_touched_sales_hours') }}
{#- `0 - amount`: without ANSI mode, which dbt-spark turns off, Sail mistypes `-amount` of a decimal. -#}
select
  {{ surrogate_key('mart', ['unix_micros(sold_hour)', 'region', 'category', 'channel', 'currency']) }} as bucket_key,
  sold_hour,
  region,
  category,
  channel,
  currency,
  count(*) as line_count,
  count(distinct coalesce(order_number, invoice_no)) as order_count,
  sum(case when is_cancelled then 1 else 0 end) as cancelled_line_count,
  sum(case when is_cancelled then cast(0 as bigint) else cast(quantity as bigint) end) as quantity,
  cast(sum(case when is_cancelled or is_return then cast(0 as decimal(19, 4)) else net_amount end) as decimal(19, 4)) as gross_amount,
  cast(sum(case when is_return and not is_cancelled then cast(0 - net_amount as decimal(19, 4)) else cast(0 as decimal(19, 4)) end) as decimal(19, 4)) as returns_amount,
  cast(sum(case when is_cancelled then cast(0 as decimal(19, 4)) else net_amount end) as decimal(19, 4)) as net_amount,
  cast(sum(case when is_cancelled or cost_amount is null then cast(0 as decimal(19, 4)) else net_amount end) as decimal(19, 4)) as costed_amount,
  cast(sum(case when is_cancelled or cost_amount is null then cast(0 as decimal(19, 4)) else cost_amount end) as decimal(19, 4)) as cost_amount,
  {{ changed_hour('max(_hour)') }} as _hour
from {{ ref('fct_sales') }}
where not is_deleted
{% if is_hourly() %}
  and {{ scope_touched_sales_hours() }}
{% endif %}
group by sold_hour, region, category, channel, currency
