{{ config(unique_key='supplier_key', scope='scope_everything') }}
{#- Rates are of lines that were received; minutes are added as whole numbers, so sums are exact. -#}
with lines as (
  select * from {{ ref('fct_purchase_line') }} where not is_deleted
),

totals as (
  select
    supplier_key,
    supplier_id,
    count(distinct purchase_order_id) as order_count,
    count(*) as line_count,
    count(received_at) as received_line_count,
    sum(case when is_open then 1 else 0 end) as open_line_count,
    cast(sum(line_total) as decimal(19, 4)) as ordered_amount,
    sum(lead_time_minutes) as minutes,
    sum(cast(lead_time_minutes as double) * lead_time_minutes) as squared_minutes,
    sum(case when received_at is not null then cast(ordered_quantity as bigint) end) as ordered_quantity,
    cast(sum(case when received_at is not null then received_quantity - rejected_quantity end) as decimal(19, 2)) as accepted_quantity,
    cast(sum(case when received_at is not null then received_quantity end) as decimal(19, 2)) as received_quantity,
    sum(case when cast(received_at as date) <= due_date then 1 else 0 end) as on_time_line_count,
    max(_hour) as _hour
  from lines
  group by supplier_key, supplier_id
)

select
  total.supplier_key,
  total.supplier_id,
  coalesce(supplier.name, 'Unknown') as name,
  coalesce(supplier.is_preferred, false) as is_preferred,
  total.order_count,
  total.line_count,
  total.received_line_count,
  total.open_line_count,
  total.ordered_amount,
  case when received_line_count > 0
    then round(cast(minutes as double) / received_line_count / 1440, 4) end as lead_time_days,
  case when received_line_count > 1 then round(sqrt(greatest(
    squared_minutes - cast(minutes as double) * minutes / received_line_count, cast(0 as double)
  ) / (received_line_count - 1)) / 1440, 4) end as lead_time_spread_days,
  case when ordered_quantity > 0
    then round(cast(accepted_quantity as double) / ordered_quantity, 6) end as fill_rate,
  case when received_quantity > 0
    then round(1 - cast(accepted_quantity as double) / cast(received_quantity as double), 6) end as reject_rate,
  case when received_line_count > 0
    then round(cast(on_time_line_count as double) / received_line_count, 6) end as on_time_rate,
  {{ changed_hour('total._hour') }} as _hour
from totals as total
left join {{ ref('dim_supplier') }} as supplier
  on supplier.supplier_key = total.supplier_key and supplier.is_current
