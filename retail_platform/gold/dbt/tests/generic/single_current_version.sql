{#- Every member has exactly one current version, and no two of its versions overlap. -#}
{% test single_current_version(model, member_key) %}
select {{ member_key }}, sum(case when is_current then 1 else 0 end) as current_versions
from {{ model }}
group by {{ member_key }}
having sum(case when is_current then 1 else 0 end) <> 1
  or count(*) <> count(distinct effective_from)
  or count(*) <> count(distinct effective_to)
{% endtest %}
