{#- None of the columns holds a value below zero; all of them in one pass over the table. -#}
{% test non_negative(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
where {% for column in columns %}{{ column }} < 0{{ ' or ' if not loop.last }}{% endfor %}
{% endtest %}
