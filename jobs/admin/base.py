"""Admin classes for what a hand must not change, and for long tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property

M = TypeVar("M", bound=Model)
COUNT_MOST = 10_000

# Both are generic for the type checker only.
if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin
    AnyPaginator = Paginator[Any]
else:
    AnyPaginator = Paginator

    class ModelAdmin(admin.ModelAdmin):
        def __class_getitem__(cls, _: object) -> type:
            return cls


class BoundedPaginator(AnyPaginator):
    """Counts no further than COUNT_MOST rows: a list of millions opens as fast as one of a hundred."""

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]  # an admin list's always is one
        return rows.order_by().values("pk")[:COUNT_MOST].count()


class LookOnly(ModelAdmin[M]):
    """Rows that only the platform writes: whoever may view them can't add, change or delete them."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50
    change_form_template = "towline/row.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        title = str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {"title": title, **(extra_context or {})})
