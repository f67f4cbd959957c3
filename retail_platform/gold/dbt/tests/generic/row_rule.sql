{#- Every row fulfils the predicate; NULL counts as fulfilled. Exports of contracts use it. -#}
{% test row_rule(model, predicate) %}
select * from {{ model }} where not ({{ predicate }})
{% endtest %}
