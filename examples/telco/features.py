"""What is known of each customer: the columns of its row, kept where the endpoint finds them by id."""

from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64, String

# With this file a prediction can be asked for by id alone: `sluice predict --id …` (docs/predict-by-id.md). The
# endpoint reads the columns below from the online store, a table in DynamoDB, and answers as it does to the full row.
#
# Each upload writes what changed: every row with the first one, and then those that are new, other than they were, or
# gone. DynamoDB charges for each of these writes (a row of up to 1 KB is one), for what it stores, and for each id
# that is read. A row that stays as it was costs nothing.
#
# Nothing else changes by it, the model least of all. Delete this file to turn it off: the endpoint then takes full
# rows only. docs/features.md says what else can be defined here, and what becomes of the table.

customer = Entity(name="customer", join_keys=["customerID"], value_type=ValueType.STRING)
customer_table = FileSource(name="customer_table", path="dataset.parquet")

customer_features = FeatureView(
    name="customer_features",
    entities=[customer],
    source=customer_table,
    online=True,
    schema=[
        Field(name="tenure", dtype=Int64),
        Field(name="MonthlyCharges", dtype=Float64),
        Field(name="TotalCharges", dtype=Float64),
        Field(name="gender", dtype=String),
        Field(name="SeniorCitizen", dtype=Int64),
        Field(name="Partner", dtype=String),
        Field(name="Dependents", dtype=String),
        Field(name="PhoneService", dtype=String),
        Field(name="MultipleLines", dtype=String),
        Field(name="InternetService", dtype=String),
        Field(name="OnlineSecurity", dtype=String),
        Field(name="OnlineBackup", dtype=String),
        Field(name="DeviceProtection", dtype=String),
        Field(name="TechSupport", dtype=String),
        Field(name="StreamingTV", dtype=String),
        Field(name="StreamingMovies", dtype=String),
        Field(name="Contract", dtype=String),
        Field(name="PaperlessBilling", dtype=String),
        Field(name="PaymentMethod", dtype=String),
    ],
)
