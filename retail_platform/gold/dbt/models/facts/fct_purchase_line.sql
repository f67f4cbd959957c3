{{ config(unique_key='purchase_key') }}
{#- A line whose order is not there (or only inferred) waits for the hour in which it arrives. -#}
{%- if is_hourly() -%}
  {%- set order_spans = id_spans(touched_purchase_orders()) -%}
{%- endif %}
select
  {{ surrogate_key('purchasing', ['line.purchase_order_id', 'line.line_number']) }} as purchase_key,
  line.purchase_order_id,
  line.line_number,
  {{ member_key('purchasing', 'header.supplier_id') }} as supplier_key,
  header.supplier_id,
  {{ member_key('sales', 'line.product_id') }} as product_key,
  line.product_id,
  header.status,
  header.ordered_at,
  cast(header.ordered_at as date) as ordered_date,
  line.due_date,
  line.received_at,
  line.ordered_quantity,
  line.received_quantity,
  line.rejected_quantity,
  line.unit_price,
  line.line_total,
  cast((unix_micros(line.received_at) - unix_micros(header.ordered_at)) / 60000000 as bigint) as lead_time_minutes,
  line.received_at is null and header.status in ('pending', 'approved') as is_open,
  coalesce(line._deleted, false) or coalesce(header._deleted, false) as is_deleted,
  {{ changed_hour('greatest(line._hour, header._hour)') }} as _hour
from {{ source('silver', 'purchase_order_lines') }} as line
inner join {{ source('silver', 'purchase_orders') }} as header
  on header.purchase_order_id = line.purchase_order_id and not coalesce(header._inferred, false)
{% if is_hourly() %}
where {{ id_in_spans('line.purchase_order_id', order_spans) }}
  and {{ id_in_spans('header.purchase_order_id', order_spans) }}
  and ({{ in_hours('line._hour') }} or {{ in_hours('header._hour') }})
{% endif %}
