from django.urls import path

from . import views

urlpatterns = [path("workers/", views.Workers.as_view(), name="workers")]
