from django.conf import settings
from django.db import models

if settings.KIND == "django_tenants":
    from django_tenants.models import DomainMixin, TenantMixin
else:
    from django_pgschemas.models import TenantModel as TenantMixin

    class DomainMixin(models.Model):  # django-pgschemas wants none
        domain = models.CharField(max_length=253)
        tenant = models.ForeignKey("customers.Client", models.CASCADE)
        is_primary = models.BooleanField(default=True)

        class Meta:
            abstract = True


class Client(TenantMixin):
    name = models.CharField(max_length=100)


class Domain(DomainMixin):
    pass


class Currency(models.Model):
    """Which the products of each customer point to."""

    code = models.CharField(max_length=3)
    symbol = models.CharField(max_length=3, default="")


class Plan(models.Model):
    name = models.CharField(max_length=100)
