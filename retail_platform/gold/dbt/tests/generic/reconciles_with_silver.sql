{#- Of every mart: the sums of its columns equal those that Silver gives for the same buckets. -#}
{% test sales_by_region_category_reconciles_with_silver(model) -%}
  {%- set spans = compared_days() -%}
  {{ differing_totals(
    model, silver_of_sales_by_region_category(spans), measures=['quantity', 'net_amount'],
    by=['sold_hour', 'currency'], day='cast(sold_hour as date)', spans=spans
  ) }}
{%- endtest %}

{% test sales_kpi_reconciles_with_silver(model) -%}
  {%- set spans = compared_days() -%}
  {{ differing_totals(
    model, silver_of_sales_kpi(spans), measures=['quantity', 'net_amount'],
    by=['grain', 'period_start', 'currency'], day='cast(period_start as date)', spans=spans
  ) }}
{%- endtest %}

{% test sales_vs_spend_reconciles_with_silver(model) -%}
  {%- set spans = compared_days() -%}
  {{ differing_totals(
    model, silver_of_sales_vs_spend(spans), measures=['sales_net', 'spend_total'],
    by=['grain', 'period_start', 'currency'], day='cast(period_start as date)', spans=spans
  ) }}
{%- endtest %}

{% test attributed_sales_reconciles_with_silver(model) -%}
  {%- set spans = compared_days() -%}
  {{ differing_totals(
    model, silver_of_attributed_sales(spans), measures=['net_amount'],
    by=['sold_hour', 'currency'], day='cast(sold_hour as date)', spans=spans
  ) }}
{%- endtest %}

{% test stock_turnover_reconciles_with_silver(model) -%}
  {%- set spans = compared_days() -%}
  {{ differing_totals(
    model, silver_of_stock_turnover(spans), measures=['closing_stock'], by=['stock_date'], day='stock_date', spans=spans
  ) }}
{%- endtest %}

{% test replenishment_reconciles_with_silver(model) -%}
  {{ differing_totals(model, silver_of_replenishment(), measures=['on_hand', 'on_order']) }}
{%- endtest %}

{% test customer_segment_reconciles_with_silver(model) -%}
  {{ differing_totals(
    model, silver_of_customer_segment(), measures=['net_amount'], by=['customer_id']
  ) }}
{%- endtest %}

{% test supplier_performance_reconciles_with_silver(model) -%}
  {{ differing_totals(
    model, silver_of_supplier_performance(), measures=['line_count', 'ordered_amount'],
    by=['supplier_id']
  ) }}
{%- endtest %}
